// Events as lines for a person, where they are run without --events.
#pragma once

#include <smartvpn.h>

#include <string>

namespace smartvpn::cli {

// One line without its newline and without control characters; "" for events that nobody who watches
// a terminal waits for.
std::string describe(const smartvpn_event* event);

}  // namespace smartvpn::cli
