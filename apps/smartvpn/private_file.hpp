// A file that holds secrets: for its owner alone from the first moment, and whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "unique_fd.hpp"

namespace smartvpn::cli {

class PrivateFile {
 public:
  // Makes it, so that whether it can be written is known before there is anything to write. Without
  // `replace` an existing file is a Failure with exit code 2.
  PrivateFile(std::string path, bool replace);
  // What was not committed is gone.
  ~PrivateFile();
  PrivateFile(PrivateFile&& other) noexcept;
  PrivateFile& operator=(PrivateFile&&) = delete;

  const std::string& path() const noexcept { return path_; }
  // Throws Failure: nothing is left then, and what was to be replaced is as before.
  void commit(std::string_view content);

 private:
  const std::string path_;
  std::string written_;  // the file in the making; "" once it is the real one
  UniqueFd fd_;
};

}  // namespace smartvpn::cli
