// Longest-prefix match over both families: a path-compressed binary trie (as WireGuard's allowed IPs
// and BSD's radix tree). Owned and changed by one thread; lookups allocate nothing and take no lock.
// A copy is a snapshot: the nodes live in one vector, so copying is one memcpy-like pass.
#pragma once

#include <bit>
#include <utility>
#include <vector>

#include "inet/address.hpp"

namespace smartvpn::inet {

template <class T>
class PrefixTrie {
 public:
  // Stores `value` under `prefix`, replacing what was there. True if the prefix is new.
  bool insert(const Cidr& prefix, T value);
  // True if the prefix was there. Frees its node for reuse.
  bool erase(const Cidr& prefix);
  // The value of exactly this prefix, or null. Pointers are valid until the next insert or erase.
  const T* exact(const Cidr& prefix) const noexcept;
  T* exact(const Cidr& prefix) noexcept { return const_cast<T*>(std::as_const(*this).exact(prefix)); }
  // The value of the longest prefix that contains `ip`, or null.
  const T* longest_match(const IpAddress& ip) const noexcept;

  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept;
  // `fn(const Cidr&, const T&)` for every entry, in no particular order.
  template <class Fn>
  void for_each(Fn&& fn) const;

 private:
  struct Key {
    uint64_t high = 0, low = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Node {
    Key key;  // `length` bits, the rest zero
    uint32_t child[2] = {0, 0};
    uint8_t length = 0;
    bool used = false;  // has a value; otherwise it only joins two branches
    T value{};
  };

  static Key key_of(const IpAddress& ip) noexcept;
  static Key cut(const Key& key, unsigned length) noexcept;
  static unsigned bit(const Key& key, unsigned index) noexcept;
  static unsigned common(const Key& a, const Key& b) noexcept;
  static IpAddress address_of(const Key& key, bool v6) noexcept;
  uint32_t& root(const IpAddress& ip) noexcept { return root_[ip.is_v6() ? 1 : 0]; }
  uint32_t make_node(const Key& key, unsigned length);
  void free_node(uint32_t index);
  template <class Fn>
  void walk(uint32_t index, bool v6, Fn& fn) const;

  std::vector<Node> nodes_{1};  // nodes_[0] is "none"
  std::vector<uint32_t> free_;
  uint32_t root_[2] = {0, 0};  // IPv4, IPv6
  size_t size_ = 0;
};

}  // namespace smartvpn::inet

#include "inet/prefix_trie_impl.hpp"
