// See resolv_conf.hpp.
#include "resolv_conf.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "c_api.hpp"

namespace smartvpn::cli {
namespace {

constexpr const char* kBegin = "# smartvpn: name servers of a tunnel, while it lasts\n";
constexpr const char* kEnd = "# smartvpn: end\n";
constexpr const char* kKept = "# smartvpn kept: ";
constexpr size_t kLargestFile = 1 << 20;

[[noreturn]] void fail(const std::string& file) { throw Failure{kExitRuntime, file, std::strerror(errno)}; }

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

// The lines of a text, each with its line end if it has one.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    end = end == std::string::npos ? text.size() : end + 1;
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

bool begins(const std::string& line, const char* with) { return line.rfind(with, 0) == 0; }

std::string read_file(const std::string& file) {
  Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in && errno == ENOENT) return {};
  if (!in) fail(file);
  std::string out;
  char buffer[4096];
  ssize_t n;
  while ((n = ::read(in.get(), buffer, sizeof buffer)) > 0 && out.size() < kLargestFile)
    out.append(buffer, static_cast<size_t>(n));
  if (n < 0) fail(file);
  if (out.size() >= kLargestFile) throw Failure{kExitRuntime, file, "the file is too large"};
  return out;
}

bool write_all(int fd, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n < 0) return false;
    at += static_cast<size_t>(n);
  }
  return true;
}

// Over what is there, and never cut before the new text stands: a full disk must not cost the old one.
void write_in_place(const std::string& file, const std::string& text) {
  const std::string old = read_file(file);
  Descriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!out) fail(file);
  // Room first, without changing the file. Where the file system cannot promise any, writing shows.
  const auto size = static_cast<off_t>(text.size());
  const int room = size == 0 ? 0 : ::fallocate(out.get(), FALLOC_FL_KEEP_SIZE, 0, size);
  if (room != 0 && errno != EOPNOTSUPP && errno != ENOSYS) fail(file);
  if (write_all(out.get(), text) && ::ftruncate(out.get(), size) == 0) return;
  const int error = errno;
  // The old text fits where it was; what is longer now is cut.
  if (::lseek(out.get(), 0, SEEK_SET) == 0 && write_all(out.get(), old))
    (void)!::ftruncate(out.get(), static_cast<off_t>(old.size()));
  errno = error;
  fail(file);
}

// A new file of the same owner and mode, renamed over the old one. 0, or why not; then the old one is untouched.
int replace(const std::string& file, const std::string& text) {
  std::string fresh = file + ".smartvpn";
  struct stat old {};
  const bool existed = ::stat(file.c_str(), &old) == 0;
  Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!out) return errno;
  bool ok = write_all(out.get(), text) && ::fsync(out.get()) == 0;
  if (ok && existed)
    ok = ::fchown(out.get(), old.st_uid, old.st_gid) == 0 && ::fchmod(out.get(), old.st_mode & 07777) == 0;
  if (ok && ::rename(fresh.c_str(), file.c_str()) == 0) return 0;
  const int error = errno;
  ::unlink(fresh.c_str());
  return error;
}

// Where a link leads, so that the link itself stays.
std::string real_path(const std::string& file) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(file.c_str(), nullptr), &std::free);
  return real ? real.get() : file;
}

void write_file(const std::string& file, const std::string& text) {
  std::string real = real_path(file);
  const int error = replace(real, text);
  // A mount point, or a folder that takes no new files; a full disk may have room in the file itself.
  const bool elsewhere = error == EBUSY || error == EACCES || error == EPERM || error == EROFS;
  if (elsewhere || error == ENOSPC || error == EDQUOT) return write_in_place(real, text);
  if (error == 0) return;
  errno = error;
  fail(file);
}

}  // namespace

std::string with_name_servers(const std::string& text, const std::vector<std::string>& servers) {
  std::string out = kBegin;
  for (const auto& server : servers) out += "nameserver " + server + "\n";
  out += kEnd;
  for (const auto& line : lines_of(without_ours(text))) out += begins(line, "nameserver") ? kKept + line : line;
  return out;
}

std::string without_ours(const std::string& text) {
  std::string out;
  bool ours = false;
  for (const auto& line : lines_of(text)) {
    if (line == kBegin) ours = true;
    if (!ours) out += begins(line, kKept) ? line.substr(std::strlen(kKept)) : line;
    if (line == kEnd) ours = false;
  }
  return out;
}

void set_name_servers(const std::string& file, const std::vector<std::string>& servers) {
  write_file(file, with_name_servers(read_file(file), servers));
}

bool restore_name_servers(const std::string& file) {
  std::string now = read_file(file), before = without_ours(now);
  if (now == before) return false;
  write_file(file, before);
  return true;
}

}  // namespace smartvpn::cli
