// See tun_steering.hpp. bpf(2) is called as it is, and the program is written as the kernel's instructions (Linux,
// Documentation/bpf/standardization/instruction-set.rst), so that nothing has to be compiled or linked for it.
#include "forward/tun/tun_steering.hpp"

#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/descriptor.hpp"

namespace smartvpn::forward {
namespace {

// Of the map: how many bits of what follows count, then the family and the address.
struct Key {
  uint32_t bits = 0;
  uint8_t family = 0;
  uint8_t address[16] = {};
  uint8_t unused[3] = {};
};
static_assert(sizeof(Key) == 24);
constexpr uint32_t kKeySize = offsetof(Key, unused);
constexpr int kFamilyBits = 8;

Key key_of(const inet::Cidr& prefix) noexcept {
  Key out;
  out.bits = static_cast<uint32_t>(kFamilyBits + prefix.prefix);
  out.family = static_cast<uint8_t>(prefix.base.family());
  const ByteView bytes = prefix.base.bytes();
  std::memcpy(out.address, bytes.data(), bytes.size());
  return out;
}

inet::Cidr whole(const inet::IpAddress& ip) noexcept { return {ip, static_cast<uint8_t>(ip.bits())}; }

int bpf(int command, bpf_attr& attributes) noexcept {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

uint64_t address_of(const void* pointer) noexcept { return reinterpret_cast<uintptr_t>(pointer); }

// Instructions, by what they do.
enum Register : uint8_t { r0, r1, r2, r3, r4, r6 = 6, r10 = 10 };

constexpr bpf_insn instruction(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  bpf_insn out{};
  out.code = static_cast<uint8_t>(code);
  out.dst_reg = to & 15u;
  out.src_reg = from & 15u;
  out.off = offset;
  out.imm = value;
  return out;
}
constexpr bpf_insn copy(Register to, Register from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
constexpr bpf_insn put(Register to, int32_t value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
constexpr bpf_insn add(Register to, int32_t value) { return instruction(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
constexpr bpf_insn shift_right(Register to, int bits) {
  return instruction(BPF_ALU64 | BPF_RSH | BPF_K, to, 0, 0, bits);
}
constexpr bpf_insn store(int size, int at, int32_t value) {  // on the stack
  return instruction(BPF_ST | BPF_MEM | size, r10, 0, static_cast<int16_t>(at), value);
}
constexpr bpf_insn load(int size, Register to, Register from, int at) {
  return instruction(BPF_LDX | BPF_MEM | size, to, from, static_cast<int16_t>(at), 0);
}
constexpr bpf_insn call(int helper) { return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
constexpr bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
constexpr bpf_insn jump(int skip) { return instruction(BPF_JMP | BPF_JA, 0, 0, static_cast<int16_t>(skip), 0); }
constexpr bpf_insn jump_if(Register what, int32_t equals, int skip) {
  return instruction(BPF_JMP | BPF_JEQ | BPF_K, what, 0, static_cast<int16_t>(skip), equals);
}
constexpr bpf_insn jump_unless(Register what, int32_t equals, int skip) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, what, 0, static_cast<int16_t>(skip), equals);
}

// The stack below r10.
constexpr int kKeyAt = -static_cast<int>(sizeof(Key));
constexpr int kFamilyAt = kKeyAt + static_cast<int>(offsetof(Key, family));
constexpr int kAddressAt = kKeyAt + static_cast<int>(offsetof(Key, address));
constexpr int kVersionAt = kKeyAt - 8;
constexpr int kDestinationOf4 = 16, kDestinationOf6 = 24;

// Gives what the map has for a packet's destination, or 0.
constexpr size_t kSize = 38;
std::array<bpf_insn, kSize> program(int map) {
  return {
      /* 0*/ copy(r6, r1),
      /* 1*/ store(BPF_DW, kKeyAt, 0),
      /* 2*/ store(BPF_DW, kKeyAt + 8, 0),
      /* 3*/ store(BPF_DW, kKeyAt + 16, 0),
      /* 4*/ put(r2, 0),
      /* 5*/ copy(r3, r10),
      /* 6*/ add(r3, kVersionAt),
      /* 7*/ put(r4, 1),
      /* 8*/ call(BPF_FUNC_skb_load_bytes),
      /* 9*/ jump_unless(r0, 0, 24),  // to 34
      /*10*/ load(BPF_B, r1, r10, kVersionAt),
      /*11*/ shift_right(r1, 4),
      /*12*/ jump_if(r1, 4, 6),       // to 19
      /*13*/ jump_unless(r1, 6, 20),  // to 34
      /*14*/ store(BPF_W, kKeyAt, kFamilyBits + 128),
      /*15*/ store(BPF_B, kFamilyAt, 6),
      /*16*/ put(r2, kDestinationOf6),
      /*17*/ put(r4, 16),
      /*18*/ jump(4),  // to 23
      /*19*/ store(BPF_W, kKeyAt, kFamilyBits + 32),
      /*20*/ store(BPF_B, kFamilyAt, 4),
      /*21*/ put(r2, kDestinationOf4),
      /*22*/ put(r4, 4),
      /*23*/ copy(r1, r6),
      /*24*/ copy(r3, r10),
      /*25*/ add(r3, kAddressAt),
      /*26*/ call(BPF_FUNC_skb_load_bytes),
      /*27*/ jump_unless(r0, 0, 6),  // to 34
      /*28*/ instruction(BPF_LD | BPF_DW | BPF_IMM, r1, BPF_PSEUDO_MAP_FD, 0, map),
      /*29*/ instruction(0, 0, 0, 0, 0),
      /*30*/ copy(r2, r10),
      /*31*/ add(r2, kKeyAt),
      /*32*/ call(BPF_FUNC_map_lookup_elem),
      /*33*/ jump_unless(r0, 0, 2),  // to 36
      /*34*/ put(r0, 0),
      /*35*/ leave(),
      /*36*/ load(BPF_W, r0, r0, 0),
      /*37*/ leave(),
  };
}

net::Fd make_map() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_LPM_TRIE;
  attributes.key_size = kKeySize;
  attributes.value_size = sizeof(uint32_t);
  attributes.max_entries = TunSteering::kMaxPrefixes;
  attributes.map_flags = BPF_F_NO_PREALLOC;  // memory as entries come
  return net::Fd(above_standard(bpf(BPF_MAP_CREATE, attributes)));
}

net::Fd load_program(int map) {
  const auto instructions = program(map);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insn_cnt = static_cast<uint32_t>(instructions.size());
  attributes.insns = address_of(instructions.data());
  attributes.license = address_of("MIT");
  return net::Fd(above_standard(bpf(BPF_PROG_LOAD, attributes)));
}

}  // namespace

TunSteering::TunSteering(net::Loop& loop, unsigned queues, net::Fd map, net::Fd program)
    : loop_(loop), queues_(queues), map_(std::move(map)), program_(std::move(program)) {
  map_slot_ = loop_.descriptors().add(map_.get());
  try {
    program_slot_ = loop_.descriptors().add(program_.get());
  } catch (...) {
    loop_.descriptors().remove(map_slot_);
    throw;
  }
}

TunSteering::~TunSteering() {
  loop_.descriptors().remove(map_slot_);
  loop_.descriptors().remove(program_slot_);
}

Result<std::unique_ptr<TunSteering>> TunSteering::create(net::Loop& loop, unsigned queues) {
  if (queues == 0) return make_error(Status::INVALID, "a device has at least one queue");
  net::Fd map = make_map();
  if (!map) return system_error(errno, "cannot make a map for steering packets to queues");
  net::Fd program = load_program(map.get());
  if (!program) return system_error(errno, "cannot load the program that steers packets to queues");
  return std::unique_ptr<TunSteering>(new TunSteering(loop, queues, std::move(map), std::move(program)));
}

Result<void> TunSteering::attach(int tun) const {
  int program = program_.get();
  if (ioctl(tun, TUNSETSTEERINGEBPF, &program) != 0)
    return system_error(errno, "cannot steer packets to the queues of a tun device");
  return {};
}

Result<void> TunSteering::set(const inet::Cidr& destination, unsigned queue) const {
  if (queue >= queues_) return make_error(Status::INVALID, "no queue " + std::to_string(queue));
  const Key key = key_of(destination);
  const uint32_t value = queue;
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map_.get());
  attributes.key = address_of(&key);
  attributes.value = address_of(&value);
  if (bpf(BPF_MAP_UPDATE_ELEM, attributes) != 0)
    return system_error(errno, "cannot steer " + destination.text() + " to a queue");
  return {};
}

Result<void> TunSteering::set(const inet::IpAddress& destination, unsigned queue) const {
  return set(whole(destination), queue);
}

void TunSteering::erase(const inet::Cidr& destination) const noexcept {
  const Key key = key_of(destination);
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map_.get());
  attributes.key = address_of(&key);
  (void)bpf(BPF_MAP_DELETE_ELEM, attributes);
}

void TunSteering::erase(const inet::IpAddress& destination) const noexcept { erase(whole(destination)); }

}  // namespace smartvpn::forward
