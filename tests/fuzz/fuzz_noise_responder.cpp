// Message 1 as a stranger may send it: never more than a refusal, and after a refusal nothing works.
// The first byte chooses the pattern and the header size that is bound; the rest is the message.
// Seeds made with the fixed keys below reach the second half and the answer.
#include "fuzz/require.hpp"
#include "noise/handshake.hpp"

namespace {

using smartvpn::fuzz::require;

using namespace smartvpn;

class CountingRng final : public Rng {
 public:
  void fill(ByteSpan out) noexcept override {
    for (uint8_t& byte : out) byte = ++next_;
  }

 private:
  uint8_t next_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  CountingRng rng;
  const crypto::KeyPair own = crypto::generate_key_pair(rng);
  const auto pattern = data[0] & 1 ? noise::Pattern::ikpsk2 : noise::Pattern::ik;
  ByteView rest(data + 1, size - 1);
  const size_t header = std::min<size_t>(data[0] & 0x10 ? 16 : 0, rest.size());

  noise::Responder responder(rng, own, as_bytes("smartvpn/1"), pattern);
  if (pattern == noise::Pattern::ikpsk2) responder.set_psk(SecretKey());
  responder.mix_hash(rest.first(header));
  const ByteView message = rest.subspan(header);
  const auto key = responder.read_static(message);
  require(key.has_value() != responder.failed());
  Bytes payload, answer;
  const bool proven = responder.read_payload(payload);
  require(key || !proven);
  require(payload.size() == (proven ? message.size() - noise::kMessage1Overhead : 0));
  const bool answered = responder.write_message(as_bytes("ok"), answer);
  require(answered == proven && answered == responder.finished());
  require(answer.size() == (answered ? noise::kMessage2Overhead + 2 : 0));
  require(responder.split().has_value() == answered);
  return 0;
}
