// The store that survives: a SQLite file in WAL mode, synced at every commit, its owner's alone and open in one
// process at a time.
#pragma once

#include "registry/store.hpp"

namespace smartvpn::registry {

class SqliteStore {
 public:
  static constexpr size_t kFeedSize = 4096;  // changes

  // Makes the file if it is missing, brings an older one to this version's schema, and checks that it is sound.
  // Waits for the disk, and up to a second for a process that is just letting go of the file. Errors have the path
  // "/registry/path": SYSTEM with errno for what the system refuses, for a file that others may touch or that is
  // open elsewhere (EBUSY), and for a damaged or foreign one; UNSUPPORTED for one of a newer version, and in a build
  // without SQLite. So have errors of later calls; after one, the file is as it was before the call, and once the
  // cause is gone (a full disk), the same store works again. A file that somebody removed or replaced takes no writes.
  // Open it and use it on one side of a fork.
  static Result<std::unique_ptr<Store>> open(const std::string& path, size_t feed_size = kFeedSize);
};

}  // namespace smartvpn::registry
