// The machine's sudden end, at every kind of moment: before, in and after writes and syncs of the file and its log.
#include <gtest/gtest.h>

#include "registry/sqlite_store.hpp"
#include "support/client_difference.hpp"
#include "support/power_loss_disk.hpp"
#include "support/store_script.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::registry {
namespace {

using ::smartvpn::testing::difference;
using ::smartvpn::testing::PowerLossDisk;
using ::smartvpn::testing::StoreScript;
using ::smartvpn::testing::TemporaryFolder;

constexpr uint64_t kTransactions = 18;  // among them two large ones

struct Picture {
  bool taken = false;
  uint64_t acknowledged = 0;
  TemporaryFolder folder;
};

// Makes the transactions and takes a picture at `moment`.
void run(uint64_t moment, uint32_t seed, Picture& picture) {
  TemporaryFolder folder;
  uint64_t acknowledged = 0;
  PowerLossDisk disk(moment, seed, [&](const PowerLossDisk::Files& files) {
    picture.taken = true;
    picture.acknowledged = acknowledged;
    for (const auto& [path, content] : files) picture.folder.write(std::filesystem::path(path).filename(), content);
  });
  auto store = SqliteStore::open(folder / "registry");
  ASSERT_TRUE(store) << store.error().text;
  for (uint64_t number = 1; number <= kTransactions; ++number) {
    const auto done = StoreScript::apply(**store, number);
    ASSERT_TRUE(done) << done.error().text;
    acknowledged = number;
  }
}

TEST(SqlitePowerLoss, NothingAcknowledgedIsLostAndNothingIsTorn) {
  uint64_t pictures = 0, seen_acknowledged = 0;
  for (uint64_t moment = 1;; moment += moment < 60 ? 1 : 17) {
    Picture picture;
    run(moment, static_cast<uint32_t>(moment), picture);
    if (!picture.taken || HasFatalFailure()) break;
    ++pictures;
    seen_acknowledged = std::max(seen_acknowledged, picture.acknowledged);
    auto store = SqliteStore::open(picture.folder / "registry");  // checks the file
    ASSERT_TRUE(store) << "at " << moment << ": " << store.error().text;
    MemoryStore model;
    const uint64_t found = StoreScript::made(**store);
    ASSERT_GE(found, picture.acknowledged) << "lost, at " << moment;
    ASSERT_LE(found, picture.acknowledged + 1) << "at " << moment;
    for (uint64_t number = 1; number <= found; ++number) ASSERT_TRUE(StoreScript::apply(model, number));
    ASSERT_EQ(difference(*(*store)->load(), *model.load()), "") << "torn, at " << moment;
    ASSERT_EQ((*store)->changes_since(0)->changes, model.changes_since(0)->changes) << "at " << moment;
    const auto next = StoreScript::apply(**store, found + 1);
    ASSERT_TRUE(next) << "it works on, at " << moment << ": " << next.error().text;
  }
  EXPECT_GT(pictures, 80u);
  EXPECT_EQ(seen_acknowledged, kTransactions) << "the end was reached: the log being written back at close";
  RecordProperty("pictures", static_cast<int>(pictures));
}

}  // namespace
}  // namespace smartvpn::registry
