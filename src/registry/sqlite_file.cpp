// Looks with lstat, creates with O_EXCL; SQLite itself then opens without following links.
#include "registry/sqlite_file.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace smartvpn::registry {
namespace {

Error refused(int number, const std::string& path, const std::string& why = {}) {
  Error error = system_error(number, path, "/registry/path");
  if (!why.empty()) error.text += " (" + why + ")";
  return error;
}

// 0 or an errno.
int sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int result = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return result;
}

Result<void> check_file(const std::string& path, const struct stat& info) {
  if (S_ISLNK(info.st_mode)) return refused(ELOOP, path, "it is a symbolic link");
  if (S_ISDIR(info.st_mode)) return refused(EISDIR, path);
  if (!S_ISREG(info.st_mode)) return refused(EINVAL, path, "it is not a regular file");
  if (info.st_uid != ::geteuid()) return refused(EPERM, path, "it belongs to another user");
  if ((info.st_mode & 077) != 0) return refused(EPERM, path, "others may read or write it; set its mode to 600");
  return {};
}

Result<void> check_folder(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return refused(errno, folder);
  const bool everybody = (info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0;
  if (everybody || (info.st_uid != ::geteuid() && info.st_uid != 0))
    return refused(EPERM, folder, "others may replace the files in it");
  return {};
}

Result<void> create(const std::string& path, const std::string& folder) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return refused(errno, path);
  int result = ::fchmod(fd, 0600) == 0 ? 0 : errno;  // whatever the umask
  ::close(fd);
  if (result == 0) result = sync_folder(folder);
  if (result == 0) return {};
  ::unlink(path.c_str());
  return refused(result, path);
}

Result<std::string> resolved_folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  char resolved[PATH_MAX];
  if (!::realpath(folder.c_str(), resolved)) return refused(errno, folder);
  return std::string(resolved);
}

}  // namespace

Result<std::string> prepare_sqlite_file(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") return refused(EISDIR, path);
  if (path.find('\0') != std::string::npos) return make_error(Status::INVALID, "holds a NUL", "/registry/path");
  auto folder = resolved_folder(path);
  if (!folder) return folder;
  if (auto checked = check_folder(*folder); !checked) return checked.error();
  const std::string whole = (*folder == "/" ? "" : *folder) + "/" + name;
  struct stat info {};
  for (const char* companion : {"-wal", "-shm", "-journal"})
    if (::lstat((whole + companion).c_str(), &info) == 0)
      if (auto checked = check_file(whole + companion, info); !checked) return checked.error();
  if (::lstat(whole.c_str(), &info) == 0) {
    if (auto checked = check_file(whole, info); !checked) return checked.error();
    // SQLite would open it for reading.
    if (::faccessat(AT_FDCWD, whole.c_str(), R_OK | W_OK, AT_EACCESS) != 0) return refused(errno, whole);
  } else if (errno != ENOENT) {
    return refused(errno, whole);
  } else if (auto created = create(whole, *folder); !created) {
    return created.error();
  }
  return whole;
}

SqliteFiles::SqliteFiles(std::string path) : file_{std::move(path)}, log_{file_.path + "-wal"} {
  (void)check(file_);
  (void)check(log_);
}

Result<void> SqliteFiles::check() {
  if (auto there = check(file_); !there) return there;
  return check(log_);
}

Result<void> SqliteFiles::check(Identity& file) {
  struct stat now {};
  const bool exists = ::lstat(file.path.c_str(), &now) == 0;
  if (!exists && file.inode == 0) return {};
  if (!exists) return refused(errno, file.path, "somebody has removed it under the running server");
  if (file.inode == 0) {
    file.device = now.st_dev;
    file.inode = now.st_ino;
  }
  if (file.device == now.st_dev && file.inode == now.st_ino) return {};
  return refused(ESTALE, file.path, "somebody has replaced it under the running server");
}

}  // namespace smartvpn::registry
