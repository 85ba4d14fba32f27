// A file system of the test's own, of a size of the test's choosing, in a mount namespace that only the test's
// thread is in: for full and read-only disks.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <functional>
#include <string>
#include <thread>

#include "support/temporary_folder.hpp"

namespace smartvpn::testing {

class SmallDisk {
 public:
  // Runs `body` with a disk of `size` bytes. 0, or the errno with which the kernel refused one.
  static int with(size_t size, const std::function<void(SmallDisk&)>& body) {
    int refused = 0;
    std::thread thread([&] {
      SmallDisk disk;
      if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          !disk.mount_again(size, 0)) {
        refused = errno;
        return;
      }
      body(disk);
      umount2(disk.folder_.path().c_str(), MNT_DETACH);
    });
    thread.join();
    return refused;
  }

  std::string operator/(const std::string& name) const { return folder_ / name; }
  bool resize(size_t size) { return mount_again(size, MS_REMOUNT); }
  // Refused by the kernel while files are open for writing.
  bool make_read_only(size_t size) { return mount_again(size, MS_REMOUNT | MS_RDONLY); }

 private:
  bool mount_again(size_t size, unsigned long flags) {
    const std::string options = "size=" + std::to_string(size) + ",mode=700";
    return mount("tmpfs", folder_.path().c_str(), "tmpfs", flags | MS_NOSUID | MS_NODEV, options.c_str()) == 0;
  }

  TemporaryFolder folder_;
};

}  // namespace smartvpn::testing
