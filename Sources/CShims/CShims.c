// Gives the header-only module an object file to link.
#include "CShims.h"
