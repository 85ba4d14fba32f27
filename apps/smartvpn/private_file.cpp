// See private_file.hpp.
#include "private_file.hpp"

#include <fcntl.h>
#include <stdlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "c_api.hpp"

namespace smartvpn::cli {

PrivateFile::PrivateFile(std::string path, bool replace) : path_(std::move(path)) {
  if (replace) {
    written_ = path_ + ".XXXXXX";
    fd_ = UniqueFd(::mkostemp(written_.data(), O_CLOEXEC));
  } else {
    written_ = path_;
    fd_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  }
  if (fd_) return;
  int error = errno;
  written_.clear();
  if (error == EEXIST) throw Failure{kExitUsage, path_, "exists; --force replaces it"};
  throw Failure{kExitRuntime, path_, std::strerror(error)};
}

PrivateFile::PrivateFile(PrivateFile&& other) noexcept
    : path_(other.path_), written_(std::exchange(other.written_, {})), fd_(std::move(other.fd_)) {}

PrivateFile::~PrivateFile() {
  if (!written_.empty()) ::unlink(written_.c_str());
}

void PrivateFile::commit(std::string_view content) {
  while (!content.empty()) {
    ssize_t done = ::write(fd_.get(), content.data(), content.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) throw Failure{kExitRuntime, path_, std::strerror(errno)};
    content.remove_prefix(static_cast<size_t>(done));
  }
  if (::fsync(fd_.get()) != 0 && errno != EINVAL) throw Failure{kExitRuntime, path_, std::strerror(errno)};
  bool renamed = written_ == path_ || std::rename(written_.c_str(), path_.c_str()) == 0;
  if (!renamed) throw Failure{kExitRuntime, path_, std::strerror(errno)};
  written_.clear();
}

}  // namespace smartvpn::cli
