// A disk that loses its power: a SQLite VFS under which a file is what was synced last, plus whatever part of the
// later writes chance has carried out. Takes one picture of such a moment, at a write of the test's choosing.
#pragma once

#include <sqlite3.h>

#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace smartvpn::testing {

// While it lives it is SQLite's default VFS. One at a time; one thread.
class PowerLossDisk {
 public:
  using Files = std::map<std::string, std::string>;  // content by path

  // Just before write or sync number `moment` (from 1; by any file) calls `on_picture` with what the disk would hold.
  PowerLossDisk(uint64_t moment, uint32_t seed, std::function<void(const Files&)> on_picture)
      : moment_(moment), random_(seed), on_picture_(std::move(on_picture)), below_(sqlite3_vfs_find(nullptr)) {
    vfs_ = *below_;
    vfs_.zName = "power-loss";
    vfs_.pNext = nullptr;
    vfs_.pAppData = this;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + below_->szOsFile;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    sqlite3_vfs_register(&vfs_, 1);
  }
  PowerLossDisk(const PowerLossDisk&) = delete;
  PowerLossDisk& operator=(const PowerLossDisk&) = delete;
  ~PowerLossDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(below_, 1);
  }

 private:
  struct Pending {
    size_t offset;
    std::string bytes;
    bool truncates;  // to `offset`
  };
  struct State {
    std::string synced;
    std::vector<Pending> pending;
  };
  struct File {
    sqlite3_file base;
    PowerLossDisk* disk;
    State* state;  // null: a file that nobody names
    sqlite3_file* below;
  };

  static constexpr size_t kSector = 512;
  static File* of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
  static sqlite3_file* below(sqlite3_file* file) { return of(file)->below; }
  static void put(std::string& to, size_t offset, const std::string& bytes) {
    if (to.size() < offset + bytes.size()) to.resize(offset + bytes.size());
    to.replace(offset, bytes.size(), bytes);
  }

  void count() {
    if (++done_ != moment_) return;
    Files picture;
    for (const auto& [path, state] : states_) picture[path] = after_the_loss(state);
    on_picture_(picture);
  }
  // Every sector written since the sync is there or not.
  std::string after_the_loss(const State& state) {
    std::string out = state.synced;
    for (const Pending& change : state.pending) {
      if (change.truncates) {
        if (random_() % 2 == 0) out.resize(change.offset);
        continue;
      }
      for (size_t at = 0; at < change.bytes.size(); at += kSector)
        if (random_() % 2 == 0) put(out, change.offset + at, change.bytes.substr(at, kSector));
    }
    return out;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    auto* disk = static_cast<PowerLossDisk*>(vfs->pAppData);
    File* self = of(file);
    *self = {{nullptr}, disk, path ? &disk->states_[path] : nullptr, reinterpret_cast<sqlite3_file*>(self + 1)};
    const int code = disk->below_->xOpen(disk->below_, path, self->below, flags, out);
    if (code == SQLITE_OK) file->pMethods = methods();
    return code;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    auto* disk = static_cast<PowerLossDisk*>(vfs->pAppData);
    disk->states_.erase(path);
    return disk->below_->xDelete(disk->below_, path, sync_folder);
  }
  static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    of(file)->disk->count();
    if (State* state = of(file)->state)
      state->pending.push_back(
          {static_cast<size_t>(offset), {static_cast<const char*>(bytes), static_cast<size_t>(size)}, false});
    return below(file)->pMethods->xWrite(below(file), bytes, size, offset);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    if (State* state = of(file)->state) state->pending.push_back({static_cast<size_t>(size), {}, true});
    return below(file)->pMethods->xTruncate(below(file), size);
  }
  static int sync(sqlite3_file* file, int) {
    of(file)->disk->count();
    if (State* state = of(file)->state) {
      for (const Pending& change : state->pending)
        change.truncates ? state->synced.resize(change.offset) : put(state->synced, change.offset, change.bytes);
      state->pending.clear();
    }
    return SQLITE_OK;  // the real disk need not be waited for
  }
  static int close(sqlite3_file* file) { return below(file)->pMethods->xClose(below(file)); }
  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
    return below(file)->pMethods->xRead(below(file), to, size, offset);
  }
  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    return below(file)->pMethods->xFileSize(below(file), size);
  }
  static int lock(sqlite3_file* file, int kind) { return below(file)->pMethods->xLock(below(file), kind); }
  static int unlock(sqlite3_file* file, int kind) { return below(file)->pMethods->xUnlock(below(file), kind); }
  static int check_lock(sqlite3_file* file, int* out) {
    return below(file)->pMethods->xCheckReservedLock(below(file), out);
  }
  static int control(sqlite3_file* file, int what, void* argument) {
    return below(file)->pMethods->xFileControl(below(file), what, argument);
  }
  static int sector_size(sqlite3_file* file) { return below(file)->pMethods->xSectorSize(below(file)); }
  static int traits(sqlite3_file* file) { return below(file)->pMethods->xDeviceCharacteristics(below(file)); }

  // Version 1 has no shared memory; the store needs none.
  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kMethods = [] {
      sqlite3_io_methods out{};
      out.iVersion = 1;
      out.xClose = close;
      out.xRead = read;
      out.xWrite = write;
      out.xTruncate = truncate;
      out.xSync = sync;
      out.xFileSize = file_size;
      out.xLock = lock;
      out.xUnlock = unlock;
      out.xCheckReservedLock = check_lock;
      out.xFileControl = control;
      out.xSectorSize = sector_size;
      out.xDeviceCharacteristics = traits;
      return out;
    }();
    return &kMethods;
  }

  const uint64_t moment_;
  std::mt19937 random_;
  std::function<void(const Files&)> on_picture_;
  sqlite3_vfs* below_;
  sqlite3_vfs vfs_{};
  std::map<std::string, State> states_;
  uint64_t done_ = 0;
};

}  // namespace smartvpn::testing
