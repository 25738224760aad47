#pragma once

/// How often this process has asked malloc and its relatives for memory so far, all threads together.
unsigned long allocations_count(void);
