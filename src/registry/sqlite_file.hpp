// The file under the sqlite store before SQLite sees it: its owner's alone from its first moment, and no link,
// folder or other people's file.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"

namespace smartvpn::registry {

// Makes the file if it is missing (mode 0600) and answers its path with its folder resolved. SYSTEM with errno and
// the path "/registry/path" for what is no regular file of this user's, is open to others (any bit of 077), lies in
// a folder in which everybody may replace it, or has such a companion (-wal, -shm, -journal). An existing file is
// looked at but never opened: closing it would drop the locks of a store that has it open in this process.
Result<std::string> prepare_sqlite_file(const std::string& path);

// Whether the open store's files are still the ones that their names lead to. SQLite itself does not notice when
// somebody deletes or replaces them, and what it then commits is gone with the process.
class SqliteFiles {
 public:
  // The store is open: remembers the file, and its log as soon as there is one.
  explicit SqliteFiles(std::string path);
  // SYSTEM with ENOENT or ESTALE and the path "/registry/path".
  Result<void> check();

 private:
  struct Identity {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;  // 0: not known yet
  };
  static Result<void> check(Identity& file);

  Identity file_, log_;
};

}  // namespace smartvpn::registry
