// Kills a writing process with SIGKILL at random moments, many times over the same file, and holds what is found
// afterwards against a model in memory: every acknowledged transaction is there, at most one more, each of them
// whole, and the file is sound.  Usage: store_kill_test WRITER ROUNDS [SEED]
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

#include "registry/sqlite_store.hpp"
#include "support/client_difference.hpp"
#include "support/store_script.hpp"
#include "support/temporary_folder.hpp"

using namespace smartvpn;
using std::chrono::milliseconds;
using testing::StoreScript;

namespace {

constexpr int kRoundsAFile = 25;

struct Totals {
  uint64_t acknowledged = 0, unacknowledged = 0, silent_rounds = 0;
};

// A running writer. Ends with its object.
class Writer {
 public:
  Writer(const std::string& program, const std::string& path) {
    int ends[2];
    if (pipe(ends) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execl(program.c_str(), program.c_str(), path.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    out_ = ends[0];
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    kill_now();
    close(out_);
  }

  void wait_for_first_line() const {
    pollfd ready{out_, POLLIN, 0};
    poll(&ready, 1, 20000);
  }
  // False if it had ended by itself.
  bool kill_now() {
    if (pid_ <= 0) return false;
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }
  // The numbers that it told, after its end.
  std::vector<uint64_t> acknowledged() const {
    std::string text;
    char chunk[4096];
    for (ssize_t n; (n = read(out_, chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<size_t>(n));
    std::vector<uint64_t> out;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
      out.push_back(std::stoull(text.substr(at, end - at)));
    return out;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
};

bool fail(const std::string& text) {
  std::printf("FAILED: %s\n", text.c_str());
  return false;
}

class KillTest {
 public:
  KillTest(std::string program, uint32_t seed) : program_(std::move(program)), random_(seed) {}

  bool round(int number) {
    if (number % kRoundsAFile == 0) start_over();
    Writer writer(program_, path());
    // Every other time from its start on, so that opening, making and recovering are hit, too.
    const bool from_start = number % 2 == 0;
    if (!from_start) writer.wait_for_first_line();
    std::this_thread::sleep_for(milliseconds(random_() % 90));
    if (!writer.kill_now()) return fail("the writer ended by itself");
    const auto told = writer.acknowledged();
    if (told.empty()) ++totals_.silent_rounds;
    for (uint64_t n : told) {
      if (n != made_ + 1) return fail("the writer went on from another state");
      if (!advance()) return false;
      ++totals_.acknowledged;
    }
    return check(number % 3 == 0);
  }

  const Totals& totals() const { return totals_; }

 private:
  std::string path() const { return *folder_ / "registry"; }

  void start_over() {
    folder_ = std::make_unique<testing::TemporaryFolder>();
    model_ = std::make_unique<registry::MemoryStore>();
    made_ = 0;
  }

  bool advance() {
    auto done = StoreScript::apply(*model_, ++made_);
    return done || fail("the model: " + done.error().text);
  }

  // On a copy, the next writer finds the file and its log as the kill left them.
  bool check(bool on_a_copy) {
    testing::TemporaryFolder copy;
    if (on_a_copy)
      for (const char* end : {"", "-wal"})
        if (std::filesystem::exists(path() + end))
          std::filesystem::copy_file(path() + end, copy / (std::string("registry") + end));
    auto store = registry::SqliteStore::open(on_a_copy ? copy / "registry" : path());  // checks the file
    if (!store) return fail("opening: " + store.error().text);
    const uint64_t found = StoreScript::made(**store);
    if (found < made_) return fail("lost: " + std::to_string(found) + " of " + std::to_string(made_));
    if (found > made_ + 1) return fail("more than one unacknowledged transaction");
    if (found == made_ + 1) {
      if (!advance()) return false;
      ++totals_.unacknowledged;
    }
    return compare(**store);
  }

  bool compare(registry::Store& store) {
    auto entries = store.load();
    if (!entries) return fail("loading: " + entries.error().text);
    if (auto text = testing::difference(*entries, *model_->load()); !text.empty()) return fail("torn: " + text);
    auto feed = store.changes_since(0), expected = model_->changes_since(0);
    if (!feed || feed->revision != expected->revision) return fail("another revision");
    const uint64_t since = feed->revision < 4096 ? 0 : feed->revision - 4096;
    if (store.changes_since(since)->changes != model_->changes_since(since)->changes) return fail("another feed");
    return true;
  }

  std::string program_;
  std::mt19937 random_;
  std::unique_ptr<testing::TemporaryFolder> folder_;
  std::unique_ptr<registry::MemoryStore> model_;
  uint64_t made_ = 0;
  Totals totals_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int rounds = std::stoi(argv[2]);
  const uint32_t seed = argc > 3 ? static_cast<uint32_t>(std::stoul(argv[3])) : std::random_device{}();
  std::printf("seed %u\n", seed);
  KillTest test(argv[1], seed);
  const auto begin = std::chrono::steady_clock::now();
  for (int number = 0; number < rounds; ++number)
    if (!test.round(number)) {
      std::printf("in round %d\n", number);
      return 1;
    }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const Totals& totals = test.totals();
  std::printf(
      "%d rounds in %.1f s: %llu transactions acknowledged, 0 of them lost; %llu unacknowledged ones kept whole; "
      "%llu rounds ended before the first\n",
      rounds, took.count(), static_cast<unsigned long long>(totals.acknowledged),
      static_cast<unsigned long long>(totals.unacknowledged), static_cast<unsigned long long>(totals.silent_rounds));
  if (totals.acknowledged < static_cast<uint64_t>(rounds)) {
    std::printf("FAILED: too few transactions to have tested anything\n");
    return 1;
  }
  return 0;
}
