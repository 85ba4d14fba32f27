// The file under the store: who may have it, what else it might be, and what happens when the disk refuses.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "registry/sqlite_store.hpp"
#include "support/client_difference.hpp"
#include "support/random_clients.hpp"
#include "support/small_disk.hpp"

namespace smartvpn::registry {
namespace {

namespace fs = std::filesystem;
using ::smartvpn::testing::difference;
using ::smartvpn::testing::RandomClients;
using ::smartvpn::testing::SmallDisk;
using ::smartvpn::testing::TemporaryFolder;

mode_t mode_of(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

void expect_refused(const std::string& path, int number, const std::string& word) {
  auto opened = SqliteStore::open(path);
  ASSERT_FALSE(opened) << path;
  EXPECT_EQ(opened.error().status, Status::SYSTEM);
  EXPECT_EQ(opened.error().path, "/registry/path");
  EXPECT_EQ(opened.error().system_errno, number) << opened.error().text;
  EXPECT_NE(opened.error().text.find(word), std::string::npos) << opened.error().text;
}

Result<uint64_t> insert(Store& store, RandomClients& random, const std::string& id) {
  return store.apply({{Write::Kind::insert, random.client(id)}}, std::nullopt);
}

class SqliteFile : public ::testing::Test {
 protected:
  std::string path() const { return folder_ / "registry"; }
  void make_and_close() {
    auto store = SqliteStore::open(path());
    ASSERT_TRUE(store) << store.error().text;
    ASSERT_TRUE(insert(**store, random_, "a"));
  }

  TemporaryFolder folder_;
  RandomClients random_{1};
};

TEST_F(SqliteFile, BelongsToItsOwnerAloneFromTheFirstMomentWhateverTheUmask) {
  for (mode_t mask : {0, 0777}) {
    const mode_t old = umask(mask);
    auto store = SqliteStore::open(path());
    umask(old);
    ASSERT_TRUE(store) << store.error().text;
    ASSERT_TRUE(insert(**store, random_, "a"));
    EXPECT_EQ(mode_of(path()), 0600u);
    EXPECT_EQ(mode_of(path() + "-wal"), 0600u);
    EXPECT_FALSE(fs::exists(path() + "-shm")) << "the log's index is in memory";
    *store = nullptr;
    EXPECT_EQ(mode_of(path()), 0600u);
    fs::remove(path());
  }
}

TEST_F(SqliteFile, ItsDescriptorsAreCloseOnExec) {
  auto store = SqliteStore::open(path());
  ASSERT_TRUE(store);
  ASSERT_TRUE(insert(**store, random_, "a"));
  size_t seen = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone);
    if (target.rfind(path(), 0) != 0) continue;
    ++seen;
    std::ifstream info("/proc/self/fdinfo/" + entry.path().filename().string());
    std::string line;
    while (std::getline(info, line) && line.rfind("flags:", 0) != 0) continue;
    EXPECT_NE(std::stoul(line.substr(6), nullptr, 8) & 02000000u, 0u) << target << " " << line;
  }
  EXPECT_EQ(seen, 2u) << "the file and its log";
}

TEST_F(SqliteFile, OthersFilesLinksAndFoldersAreRefused) {
  make_and_close();
  for (mode_t mode : {0620, 0602, 0640, 0604}) {
    ASSERT_EQ(chmod(path().c_str(), mode), 0);
    expect_refused(path(), EPERM, "600");
  }
  ASSERT_EQ(chmod(path().c_str(), 0600), 0);
  fs::create_symlink(path(), folder_ / "link");
  expect_refused(folder_ / "link", ELOOP, "link");
  fs::create_directory(folder_ / "folder");
  expect_refused(folder_ / "folder", EISDIR, "folder");
  expect_refused(folder_ / "folder/", EISDIR, "folder");
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  expect_refused(folder_ / "fifo", EINVAL, "regular");
  expect_refused(folder_ / "none/registry", ENOENT, "none");
  folder_.write("registry-wal", "");
  fs::permissions(path() + "-wal", fs::perms::all);
  expect_refused(path(), EPERM, "-wal");
  fs::remove(path() + "-wal");
  fs::create_symlink("/dev/null", path() + "-journal");
  expect_refused(path(), ELOOP, "-journal");
  fs::remove(path() + "-journal");
  fs::permissions(folder_.path(), fs::perms::all);
  expect_refused(path(), EPERM, "replace");
  fs::permissions(folder_.path(), fs::perms::owner_all);
  EXPECT_TRUE(SqliteStore::open(path()));
}

TEST_F(SqliteFile, AFileOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  make_and_close();
  ASSERT_EQ(chown(path().c_str(), 65534, 65534), 0);
  expect_refused(path(), EPERM, "another user");
}

TEST_F(SqliteFile, FoldersMayBeLinksAndPathsRelative) {
  fs::create_directory(folder_ / "real");
  fs::create_directory_symlink(folder_ / "real", folder_ / "linked");
  {
    auto store = SqliteStore::open(folder_ / "linked/registry");
    ASSERT_TRUE(store) << store.error().text;
  }
  EXPECT_TRUE(fs::exists(folder_ / "real/registry"));
  EXPECT_TRUE(SqliteStore::open(fs::relative(folder_ / "real/registry")));
}

TEST_F(SqliteFile, IsOpenOnceInThisProcessAndInOthers) {
  auto store = SqliteStore::open(path());
  ASSERT_TRUE(store);
  ASSERT_TRUE(insert(**store, random_, "a"));
  expect_refused(path(), EBUSY, "another");
  const pid_t child = fork();
  if (child == 0) {
    // A program of its own, as another server would be: SQLite's state does not pass a fork.
    execl("/usr/bin/sqlite3", "sqlite3", path().c_str(), "select count(*) from client", nullptr);
    _exit(99);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5) << "SQLITE_BUSY";
  EXPECT_TRUE(insert(**store, random_, "b")) << "the refused ones took no lock away";
  expect_refused(path(), EBUSY, "another");
  *store = nullptr;
  EXPECT_TRUE(SqliteStore::open(path()));
}

TEST_F(SqliteFile, ADamagedFileIsSaidToBeDamaged) {
  make_and_close();
  const auto size = static_cast<size_t>(fs::file_size(path()));
  std::string bytes(size, '\0');
  std::ifstream(path(), std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(size));
  fs::remove(path());
  for (size_t at : {size_t{0}, size_t{100}, size_t{4096}, size - 4096}) {
    std::string damaged = bytes;
    damaged.replace(at, 64, 64, '\xa5');
    folder_.write("registry", damaged);
    auto opened = SqliteStore::open(path());
    ASSERT_FALSE(opened) << at;
    EXPECT_EQ(opened.error().status, Status::SYSTEM) << at << opened.error().text;
    EXPECT_EQ(opened.error().path, "/registry/path");
    EXPECT_NE(opened.error().text.find("damaged"), std::string::npos) << opened.error().text;
  }
  folder_.write("registry", bytes.substr(0, size / 2));
  EXPECT_FALSE(SqliteStore::open(path())) << "cut short";
}

TEST_F(SqliteFile, WhatWasDeletedIsNotInTheFileAnyMore) {
  Client client;
  client.id = "a";
  SecretKey key;
  for (size_t i = 0; i < SecretKey::kSize; ++i) key.span()[i] = static_cast<uint8_t>(0xc0 + i);
  const std::string secret(as_text(key.view()));
  client.noise_private_key = std::make_shared<const SecretKey>(std::move(key));
  const auto holds_secret = [&] {
    std::ifstream in(path(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {}).find(secret) != std::string::npos;
  };
  {
    auto store = SqliteStore::open(path());
    ASSERT_TRUE((*store)->apply({{Write::Kind::insert, client}}, std::nullopt));
  }
  EXPECT_TRUE(holds_secret());
  client.revision = 1;
  {
    auto store = SqliteStore::open(path());
    ASSERT_TRUE((*store)->apply({{Write::Kind::remove, client}}, std::nullopt));
  }
  EXPECT_FALSE(holds_secret());
  EXPECT_FALSE(fs::exists(path() + "-wal"));
}

// Inserts until the store refuses; the answer is its error. What was acknowledged stays.
Error insert_until_refused(Store& store, RandomClients& random, uint64_t& count) {
  for (;;) {
    auto done = insert(store, random, "client-" + std::to_string(count));
    if (!done) return done.error();
    ++count;
  }
}

TEST_F(SqliteFile, AFullDiskRefusesRollsBackAndWorksAgainWhenThereIsRoom) {
  const int refused = SmallDisk::with(400 << 10, [&](SmallDisk& disk) {
    auto store = SqliteStore::open(disk / "registry");
    ASSERT_TRUE(store) << store.error().text;
    uint64_t count = 0;
    for (size_t room : {size_t{600} << 10, size_t{4} << 20}) {
      const Error error = insert_until_refused(**store, random_, count);
      EXPECT_EQ(error.status, Status::SYSTEM) << error.text;
      EXPECT_EQ(error.system_errno, ENOSPC) << error.text;
      EXPECT_EQ(error.path, "/registry/path");
      EXPECT_NE(error.text.find("No space left on device"), std::string::npos) << error.text;
      const auto there = (*store)->load();
      ASSERT_TRUE(there) << "reading goes on";
      EXPECT_EQ(there->size(), count);
      EXPECT_EQ(*(*store)->revision(), count);
      EXPECT_FALSE(insert(**store, random_, "still-full"));
      ASSERT_TRUE(disk.resize(room));
      ASSERT_TRUE(insert(**store, random_, "client-" + std::to_string(count)));
      ++count;
    }
    EXPECT_GT(count, 10u);
    const auto before = *(*store)->load();
    *store = nullptr;
    store = SqliteStore::open(disk / "registry");
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_EQ(difference(*(*store)->load(), before), "");
  });
  if (refused != 0) GTEST_SKIP() << "no file system of one's own here: " << strerror(refused);
}

// SQLite would go on with files that have no name any more, and what it acknowledges would be gone with the process.
TEST_F(SqliteFile, OneThatIsRemovedOrReplacedUnderneathTakesNoWritesUntilItIsBack) {
  auto store = SqliteStore::open(path());
  ASSERT_TRUE(store) << store.error().text;
  ASSERT_TRUE(insert(**store, random_, "a"));
  int n = 0;
  for (const std::string& name : {path(), path() + "-wal"}) {
    for (bool replaced : {false, true}) {
      fs::rename(name, name + ".away");
      if (replaced) fs::copy_file(name + ".away", name);
      auto written = insert(**store, random_, "refused" + std::to_string(n));
      ASSERT_FALSE(written) << name;
      EXPECT_EQ(written.error().status, Status::SYSTEM);
      EXPECT_EQ(written.error().path, "/registry/path");
      EXPECT_EQ(written.error().system_errno, replaced ? ESTALE : ENOENT);
      fs::rename(name + ".away", name);
      EXPECT_TRUE(insert(**store, random_, "b" + std::to_string(n++)));
    }
  }
  store->reset();
  store = SqliteStore::open(path());
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->load()->size(), 5u);
}

TEST_F(SqliteFile, AReadOnlyDiskIsSaidToBeOne) {
  const int refused = SmallDisk::with(1 << 20, [&](SmallDisk& disk) {
    ASSERT_TRUE(SqliteStore::open(disk / "registry"));
    ASSERT_TRUE(disk.make_read_only(1 << 20));
    expect_refused(disk / "registry", EROFS, "Read-only file system");
    expect_refused(disk / "new", EROFS, "Read-only file system");
    ASSERT_TRUE(disk.resize(1 << 20));
    auto store = SqliteStore::open(disk / "registry");
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_TRUE(insert(**store, random_, "a"));
  });
  if (refused != 0) GTEST_SKIP() << "no file system of one's own here: " << strerror(refused);
}

TEST_F(SqliteFile, AWriteThatFailsIsRolledBackAndTheNextOneWorks) {
  auto store = SqliteStore::open(path());
  ASSERT_TRUE(store);
  ASSERT_TRUE(insert(**store, random_, "a"));
  const auto before = *(*store)->load();
  // The kernel refuses what would lie behind the limit with EFBIG.
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{fs::file_size(path() + "-wal") + 100, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  auto failed = insert(**store, random_, "b");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().status, Status::SYSTEM);
  EXPECT_EQ(failed.error().system_errno, EFBIG) << failed.error().text;
  EXPECT_EQ(failed.error().path, "/registry/path");
  EXPECT_EQ(difference(*(*store)->load(), before), "");
  EXPECT_EQ(*insert(**store, random_, "b"), 2u);
  *store = nullptr;
  store = SqliteStore::open(path());
  EXPECT_EQ((*store)->load()->size(), 2u);
}

}  // namespace
}  // namespace smartvpn::registry
