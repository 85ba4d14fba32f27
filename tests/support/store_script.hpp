// A sequence of transactions on a store in which each follows from its number and the store's state: two stores
// that have made the same number of them are equal, down to revisions and secrets.
#pragma once

#include <string>
#include <vector>

#include "registry/store.hpp"
#include "support/random_clients.hpp"

namespace smartvpn::testing {

class StoreScript {
 public:
  // Transaction `number`, the first being 1: counts in the entry "counter", adds some entries (now and then so many
  // that the log is written back), and removes those that transaction `number` - 5 added.
  static Result<std::vector<registry::Write>> transaction(registry::Store& store, uint64_t number) {
    using Kind = registry::Write::Kind;
    std::vector<registry::Write> out;
    registry::Client counter;
    if (number > 1) {
      auto present = store.get("counter");
      if (!present) return std::move(present).error();
      counter = std::move(*present);
    }
    counter.id = "counter";
    counter.description = std::to_string(number);
    out.push_back({number > 1 ? Kind::replace : Kind::insert, counter});
    RandomClients random(static_cast<uint32_t>(number));
    for (size_t i = 0; i < size(number); ++i) {
      registry::Client added = random.client(name(number, i));
      added.addresses.clear();  // random ones collide too soon
      out.push_back({Kind::insert, std::move(added)});
    }
    for (size_t i = 0; number > 5 && i < size(number - 5); ++i) {
      auto old = store.get(name(number - 5, i));
      if (!old) return std::move(old).error();
      out.push_back({Kind::remove, std::move(*old)});
    }
    return out;
  }

  // Makes transaction `number`; the answer is the store's revision after it.
  static Result<uint64_t> apply(registry::Store& store, uint64_t number) {
    auto writes = transaction(store, number);
    if (!writes) return std::move(writes).error();
    return store.apply(*writes, std::nullopt);
  }

  // The transactions that were made so far.
  static uint64_t made(registry::Store& store) {
    auto counter = store.get("counter");
    return counter ? std::stoull(counter->description) : 0;
  }

 private:
  static size_t size(uint64_t number) { return number % 8 == 0 ? 60 : 3; }
  static std::string name(uint64_t number, size_t i) { return "t" + std::to_string(number) + "-" + std::to_string(i); }
};

}  // namespace smartvpn::testing
