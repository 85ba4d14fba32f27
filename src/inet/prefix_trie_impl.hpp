// The bodies of PrefixTrie; include `prefix_trie.hpp` instead. Every node's key extends its parent's,
// and a node without a value always has two children, so there are fewer than twice as many nodes as
// entries and a walk visits at most one node per bit.
#pragma once

#include <algorithm>

#include "inet/prefix_trie.hpp"

namespace smartvpn::inet {

template <class T>
auto PrefixTrie<T>::key_of(const IpAddress& ip) noexcept -> Key {
  const uint8_t* bytes = ip.bytes().data();
  if (ip.is_v6()) return {load_be64(bytes), load_be64(bytes + 8)};
  return {uint64_t{load_be32(bytes)} << 32, 0};
}

template <class T>
auto PrefixTrie<T>::cut(const Key& key, unsigned length) noexcept -> Key {
  if (length == 0) return {};
  if (length <= 64) return {key.high & ~uint64_t{0} << (64 - length), 0};
  return {key.high, key.low & ~uint64_t{0} << (128 - length)};
}

template <class T>
unsigned PrefixTrie<T>::bit(const Key& key, unsigned index) noexcept {
  return static_cast<unsigned>((index < 64 ? key.high >> (63 - index) : key.low >> (127 - index)) & 1);
}

template <class T>
unsigned PrefixTrie<T>::common(const Key& a, const Key& b) noexcept {
  if (a.high != b.high) return static_cast<unsigned>(std::countl_zero(a.high ^ b.high));
  return 64 + static_cast<unsigned>(std::countl_zero(a.low ^ b.low));
}

template <class T>
IpAddress PrefixTrie<T>::address_of(const Key& key, bool v6) noexcept {
  if (!v6) return IpAddress::v4(static_cast<uint32_t>(key.high >> 32));
  uint8_t bytes[16];
  store_be64(bytes, key.high);
  store_be64(bytes + 8, key.low);
  return IpAddress::v6_verbatim(bytes);
}

template <class T>
uint32_t PrefixTrie<T>::make_node(const Key& key, unsigned length) {
  uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    index = static_cast<uint32_t>(nodes_.size());
    nodes_.emplace_back();
  }
  nodes_[index].key = cut(key, length);
  nodes_[index].length = static_cast<uint8_t>(length);
  return index;
}

template <class T>
void PrefixTrie<T>::free_node(uint32_t index) {
  nodes_[index] = Node{};
  free_.push_back(index);
}

template <class T>
bool PrefixTrie<T>::insert(const Cidr& prefix, T value) {
  if (!prefix.base) return false;
  const unsigned length = std::min<unsigned>(prefix.prefix, static_cast<unsigned>(prefix.base.bits()));
  const Key key = cut(key_of(prefix.base), length);
  uint32_t parent = 0;
  unsigned side = 0;
  // Links are found anew after make_node(), which may move the vector.
  auto link = [&]() -> uint32_t& { return parent ? nodes_[parent].child[side] : root(prefix.base); };

  for (uint32_t current = link(); current != 0; current = link()) {
    const Node& node = nodes_[current];
    const unsigned shared = std::min({common(key, node.key), length, unsigned{node.length}});
    if (shared < node.length) {
      const unsigned branch = bit(node.key, shared);
      const uint32_t above = make_node(key, shared);
      nodes_[above].child[branch] = current;
      link() = above;
      parent = above;
      side = 1 - branch;
      if (shared == length) {
        nodes_[above].value = std::move(value);
        nodes_[above].used = true;
        ++size_;
        return true;
      }
      break;
    }
    if (length == node.length) {
      const bool fresh = !node.used;
      nodes_[current].value = std::move(value);
      nodes_[current].used = true;
      size_ += fresh ? 1 : 0;
      return fresh;
    }
    parent = current;
    side = bit(key, node.length);
  }
  const uint32_t leaf = make_node(key, length);
  nodes_[leaf].value = std::move(value);
  nodes_[leaf].used = true;
  link() = leaf;
  ++size_;
  return true;
}

template <class T>
bool PrefixTrie<T>::erase(const Cidr& prefix) {
  if (!prefix.base) return false;
  const unsigned length = std::min<unsigned>(prefix.prefix, static_cast<unsigned>(prefix.base.bits()));
  const Key key = cut(key_of(prefix.base), length);
  uint32_t grandparent = 0, parent = 0, current = root(prefix.base);
  while (current != 0 && nodes_[current].length < length &&
         common(key, nodes_[current].key) >= nodes_[current].length) {
    grandparent = parent;
    parent = current;
    current = nodes_[current].child[bit(key, nodes_[current].length)];
  }
  if (current == 0 || nodes_[current].length != length || nodes_[current].key != key || !nodes_[current].used) {
    return false;
  }
  --size_;
  nodes_[current].used = false;
  nodes_[current].value = T{};

  // Takes `gone`, which has at most one child, out from under `above` (0: the root).
  auto splice = [&](uint32_t above, uint32_t gone) {
    const uint32_t heir = nodes_[gone].child[0] ? nodes_[gone].child[0] : nodes_[gone].child[1];
    if (above == 0) {
      root(prefix.base) = heir;
    } else {
      nodes_[above].child[nodes_[above].child[1] == gone ? 1 : 0] = heir;
    }
    free_node(gone);
    return heir;
  };
  if (nodes_[current].child[0] && nodes_[current].child[1]) return true;
  const uint32_t heir = splice(parent, current);
  if (heir == 0 && parent != 0 && !nodes_[parent].used) splice(grandparent, parent);
  return true;
}

template <class T>
const T* PrefixTrie<T>::exact(const Cidr& prefix) const noexcept {
  if (!prefix.base) return nullptr;
  const unsigned length = std::min<unsigned>(prefix.prefix, static_cast<unsigned>(prefix.base.bits()));
  const Key key = cut(key_of(prefix.base), length);
  uint32_t current = root_[prefix.base.is_v6() ? 1 : 0];
  while (current != 0) {
    const Node& node = nodes_[current];
    if (node.length >= length || common(key, node.key) < node.length) {
      return node.length == length && node.key == key && node.used ? &node.value : nullptr;
    }
    current = node.child[bit(key, node.length)];
  }
  return nullptr;
}

template <class T>
const T* PrefixTrie<T>::longest_match(const IpAddress& ip) const noexcept {
  if (!ip) return nullptr;
  const Key key = key_of(ip);
  const auto width = static_cast<unsigned>(ip.bits());
  const T* best = nullptr;
  for (uint32_t current = root_[ip.is_v6() ? 1 : 0]; current != 0;) {
    const Node& node = nodes_[current];
    if (common(key, node.key) < node.length) break;
    if (node.used) best = &node.value;
    if (node.length >= width) break;
    current = node.child[bit(key, node.length)];
  }
  return best;
}

template <class T>
void PrefixTrie<T>::clear() noexcept {
  nodes_.resize(1);
  free_.clear();
  root_[0] = root_[1] = 0;
  size_ = 0;
}

template <class T>
template <class Fn>
void PrefixTrie<T>::walk(uint32_t index, bool v6, Fn& fn) const {
  if (index == 0) return;
  const Node& node = nodes_[index];
  if (node.used) fn(Cidr{address_of(node.key, v6), node.length}, node.value);
  walk(node.child[0], v6, fn);
  walk(node.child[1], v6, fn);
}

template <class T>
template <class Fn>
void PrefixTrie<T>::for_each(Fn&& fn) const {
  walk(root_[0], false, fn);
  walk(root_[1], true, fn);
}

}  // namespace smartvpn::inet
