// PEM material and pins from files or text, and OpenSSL's error queue as one sentence.
#include <fcntl.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/bytes.hpp"
#include "net/fd.hpp"
#include "net/tls_impl.hpp"

namespace smartvpn::net {
namespace {

constexpr size_t kMaxPem = size_t{4} << 20;  // a distribution's whole CA bundle is a quarter of a MiB

struct FileCloser {
  void operator()(FILE* file) const noexcept { std::fclose(file); }
};

using File = std::unique_ptr<FILE, FileCloser>;

// Never waits: opening a FIFO, or reading a device, could take for ever. 0, or an errno.
int open_regular(const std::string& path, File& out) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return errno;
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (!S_ISREG(info.st_mode)) return EINVAL;
  out.reset(::fdopen(fd.get(), "rb"));
  if (!out) return errno;
  (void)fd.release();
  return 0;
}

}  // namespace

std::string take_openssl_error(const char* fallback) {
  // The first entry is the cause, later ones are the callers it passed through.
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  return reason ? reason : fallback;
}

Result<std::string> load_pem(const std::string& path_or_text, const std::string& path) {
  if (path_or_text.find("-----BEGIN") != std::string::npos) return path_or_text;
  File file;
  if (int error = open_regular(path_or_text, file); error == EINVAL)
    return make_error(Status::INVALID, path_or_text + " is not a regular file", path);
  else if (error != 0)
    return system_error(error, "cannot read " + path_or_text, path);
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // no second copy of a key in a stdio buffer
  std::string text(kMaxPem, '\0');
  errno = 0;
  size_t size = std::fread(text.data(), 1, text.size(), file.get());
  if (std::ferror(file.get())) return system_error(errno, "cannot read " + path_or_text, path);
  if (size == text.size()) return make_error(Status::INVALID, path_or_text + " is too large for PEM", path);
  text.resize(size);
  return text;
}

bool parse_pin(std::string_view text, std::array<uint8_t, 32>& pin) {
  std::string compact(text);
  compact.erase(std::remove(compact.begin(), compact.end(), ':'), compact.end());
  auto bytes = from_hex(compact);
  if (!bytes || bytes->size() != pin.size()) bytes = from_base64(text);
  if (!bytes || bytes->size() != pin.size()) return false;
  std::copy(bytes->begin(), bytes->end(), pin.begin());
  return true;
}

}  // namespace smartvpn::net
