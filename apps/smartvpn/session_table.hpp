// Live sessions as a table; asked for twice, with what passes a second.
#pragma once

#include <map>
#include <string>

#include "control/control_client.hpp"

namespace smartvpn::cli {

class SessionTable {
 public:
  // `answer` is that of sessions.list. From the second call on with rates in place of sums, for sessions that
  // were there before. `width` as of Table::text.
  std::string show(const Json& answer, size_t width);

 private:
  struct Sample {
    uint64_t in = 0, out = 0;
  };
  std::map<uint64_t, Sample> before_;
  int64_t before_ms_ = 0;
};

}  // namespace smartvpn::cli
