// What the kill test kills: opens the sqlite store at argv[1] and makes one transaction after the other, telling the
// number of each in a line of its own once it was acknowledged.
#include <unistd.h>

#include <cstdio>

#include "registry/sqlite_store.hpp"
#include "support/store_script.hpp"

using namespace smartvpn;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto store = registry::SqliteStore::open(argv[1]);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().text.c_str());
    return 1;
  }
  for (uint64_t number = testing::StoreScript::made(**store) + 1;; ++number) {
    auto done = testing::StoreScript::apply(**store, number);
    if (!done) {
      std::fprintf(stderr, "transaction %llu: %s\n", static_cast<unsigned long long>(number),
                   done.error().text.c_str());
      return 1;
    }
    const std::string line = std::to_string(number) + "\n";
    if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 1;
  }
}
