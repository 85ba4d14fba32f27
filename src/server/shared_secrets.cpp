// See the header file.
#include "server/shared_secrets.hpp"

#include "base/rng.hpp"

namespace smartvpn::server {

SharedSecrets::SharedSecrets() : secrets_(0, registry::KeyHash{system_rng().u64()}) {
  system_rng().fill(decoy_.span());
}

void SharedSecrets::set_own(std::shared_ptr<const session::StaticKeys> own) {
  if (own_ && own && own_->current.pub == own->current.pub) {
    own_ = std::move(own);
    return;
  }
  missing_.reserve(secrets_.size());
  missing_.clear();
  for (auto& [key, secret] : secrets_) {
    secret.clear();
    missing_.push_back(key);
  }
  own_ = std::move(own);
}

void SharedSecrets::expect(const PublicKey& theirs) {
  // First the place in the queue: one that is computed twice costs less than one that is never.
  if (secrets_.contains(theirs)) return;
  missing_.push_back(theirs);
  secrets_.try_emplace(theirs);
}

void SharedSecrets::forget(const PublicKey& theirs) noexcept { secrets_.erase(theirs); }

bool SharedSecrets::work(size_t count) noexcept {
  while (own_ && count > 0 && !missing_.empty()) {
    const PublicKey theirs = missing_.back();
    missing_.pop_back();
    auto it = secrets_.find(theirs);
    if (it == secrets_.end() || !it->second.is_zero()) continue;
    // With a point of small order it stays zero, and whoever comes with it fails by itself.
    static_cast<void>(crypto::x25519(it->second.span(), own_->current.secret, theirs));
    --count;
  }
  return own_ && !missing_.empty();
}

const SecretKey* SharedSecrets::find(const PublicKey& own, const PublicKey& theirs, bool known) const noexcept {
  if (!complete() || own_->current.pub != own) return nullptr;
  if (!known) return &decoy_;
  auto it = secrets_.find(theirs);
  return it == secrets_.end() || it->second.is_zero() ? nullptr : &it->second;
}

}  // namespace smartvpn::server
