#include "transport/ws/close_code.hpp"

#include <gtest/gtest.h>

namespace smartvpn::ws {
namespace {

TEST(CloseCode, TheTableOfCodesThatMayTravelIsClosed) {
  for (uint32_t code = 0; code <= 0xffff; ++code) {
    const bool reserved = code == 1004 || code == 1005 || code == 1006;
    const bool want = (code >= 1000 && code <= 1014 && !reserved) || (code >= 3000 && code <= 4999);
    ASSERT_EQ(close_code_on_wire(static_cast<uint16_t>(code)), want) << code;
  }
}

}  // namespace
}  // namespace smartvpn::ws
