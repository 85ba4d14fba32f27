// See masquerade.hpp. The rules are, for each subnet and in nft's words:
//   oifname != <device> [oifname <out_interface>] ip saddr <subnet> masquerade
// What goes back into the device keeps its source, so that the router knows a hairpin between clients for what it is.
#include "forward/tun/masquerade.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace smartvpn::forward {
namespace {

constexpr const char* kChain = "postrouting";
constexpr uint32_t kSourceNat = 100;  // NF_IP_PRI_NAT_SRC
constexpr size_t kInterfaceName = 16;

// One rule under construction: expressions that each load into register 1 or look at it.
class Rule {
 public:
  Rule(NfBatch& batch, const std::string& table) : batch_(batch) {
    batch_.message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    batch_.text(NFTA_RULE_TABLE, table);
    batch_.text(NFTA_RULE_CHAIN, kChain);
    expressions_ = batch_.begin(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED);
  }
  ~Rule() { batch_.end(expressions_); }

  void interface_out(uint32_t how, const std::string& name) {
    std::array<uint8_t, kInterfaceName> padded{};
    std::copy_n(name.begin(), std::min(name.size(), padded.size() - 1), padded.begin());
    load_meta(NFT_META_OIFNAME);
    compare(how, padded);
  }
  void from(const inet::Cidr& subnet) {
    const uint8_t family = subnet.base.is_v4() ? NFPROTO_IPV4 : NFPROTO_IPV6;
    load_meta(NFT_META_NFPROTO);
    compare(NFT_CMP_EQ, {&family, 1});
    load_source(subnet.base.is_v4());
    mask(subnet);
    compare(NFT_CMP_EQ, subnet.base.bytes());
  }
  void masquerade() {
    expression("masq", [] {});
  }

 private:
  template <class Fill>
  void expression(const char* name, Fill&& fill) {
    size_t element = batch_.begin(NFTA_LIST_ELEM | NLA_F_NESTED);
    batch_.text(NFTA_EXPR_NAME, name);
    size_t data = batch_.begin(NFTA_EXPR_DATA | NLA_F_NESTED);
    fill();
    batch_.end(data);
    batch_.end(element);
  }
  void value(uint16_t type, ByteView bytes) {
    size_t at = batch_.begin(type | NLA_F_NESTED);
    batch_.attribute(NFTA_DATA_VALUE, bytes);
    batch_.end(at);
  }
  void load_meta(uint32_t key) {
    expression("meta", [&] {
      batch_.number(NFTA_META_KEY, key);
      batch_.number(NFTA_META_DREG, NFT_REG_1);
    });
  }
  void load_source(bool v4) {
    expression("payload", [&] {
      batch_.number(NFTA_PAYLOAD_DREG, NFT_REG_1);
      batch_.number(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
      batch_.number(NFTA_PAYLOAD_OFFSET, v4 ? 12 : 8);
      batch_.number(NFTA_PAYLOAD_LEN, v4 ? 4 : 16);
    });
  }
  void mask(const inet::Cidr& subnet) {
    const size_t size = subnet.base.bytes().size();
    std::array<uint8_t, 16> ones{}, zeroes{};
    for (unsigned bit = 0; bit < subnet.prefix; ++bit)
      ones[bit / 8] = static_cast<uint8_t>(ones[bit / 8] | 0x80u >> bit % 8);
    expression("bitwise", [&] {
      batch_.number(NFTA_BITWISE_SREG, NFT_REG_1);
      batch_.number(NFTA_BITWISE_DREG, NFT_REG_1);
      batch_.number(NFTA_BITWISE_LEN, static_cast<uint32_t>(size));
      value(NFTA_BITWISE_MASK, ByteView(ones).first(size));
      value(NFTA_BITWISE_XOR, ByteView(zeroes).first(size));
    });
  }
  void compare(uint32_t how, ByteView with) {
    expression("cmp", [&] {
      batch_.number(NFTA_CMP_SREG, NFT_REG_1);
      batch_.number(NFTA_CMP_OP, how);
      value(NFTA_CMP_DATA, with);
    });
  }

  NfBatch& batch_;
  size_t expressions_;
};

void put_table(NfBatch& batch, uint8_t message, uint16_t flags, const std::string& table, uint32_t table_flags) {
  batch.message(message, flags);
  batch.text(NFTA_TABLE_NAME, table);
  if (message == NFT_MSG_NEWTABLE) batch.number(NFTA_TABLE_FLAGS, table_flags);
}

void put_chain(NfBatch& batch, const std::string& table) {
  batch.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
  batch.text(NFTA_CHAIN_TABLE, table);
  batch.text(NFTA_CHAIN_NAME, kChain);
  size_t hook = batch.begin(NFTA_CHAIN_HOOK | NLA_F_NESTED);
  batch.number(NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
  batch.number(NFTA_HOOK_PRIORITY, kSourceNat);
  batch.end(hook);
  batch.text(NFTA_CHAIN_TYPE, "nat");
}

// Made, deleted and made again: so it is new whether there was one or not.
NfBatch make_ruleset(const MasqueradeOptions& options, const std::string& table, uint32_t table_flags) {
  NfBatch batch;
  put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, table, 0);
  put_table(batch, NFT_MSG_DELTABLE, 0, table, 0);
  put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, table_flags);
  put_chain(batch, table);
  for (const inet::Cidr& subnet : options.subnets) {
    Rule rule(batch, table);
    rule.interface_out(NFT_CMP_NEQ, options.device);
    if (!options.out_interface.empty()) rule.interface_out(NFT_CMP_EQ, options.out_interface);
    rule.from(subnet);
    rule.masquerade();
  }
  return batch;
}

}  // namespace

Result<std::unique_ptr<Masquerade>> Masquerade::create(net::Loop& loop, const MasqueradeOptions& options) {
  auto socket = NfSocket::open();
  if (!socket) return socket.error();
  std::unique_ptr<Masquerade> out(new Masquerade(loop, std::move(*socket), "smartvpn_" + options.device));
  const char* what = "the kernel refuses the masquerading table";
  auto made = out->socket_.transact(make_ruleset(options, out->table_, NFT_TABLE_F_OWNER), what);
  // Kernels before 5.12 know no owner, and call the flag invalid.
  if (!made && (made.error().system_errno == EOPNOTSUPP || made.error().system_errno == EINVAL))
    made = out->socket_.transact(make_ruleset(options, out->table_, 0), what);
  if (!made) return made.error();
  return out;
}

Masquerade::Masquerade(net::Loop& loop, NfSocket socket, std::string table)
    : loop_(loop), socket_(std::move(socket)), table_(std::move(table)), slot_(loop.descriptors().add(socket_.fd())) {}

// Asked for even where the kernel would do it at the socket's end: a child of fork may hold the socket, too.
Masquerade::~Masquerade() {
  loop_.descriptors().remove(slot_);
  try {
    NfBatch batch;
    put_table(batch, NFT_MSG_DELTABLE, 0, table_, 0);
    (void)socket_.transact(std::move(batch), "masquerading table");
  } catch (const std::bad_alloc&) {
    return;  // the end of the socket removes it
  }
}

}  // namespace smartvpn::forward
