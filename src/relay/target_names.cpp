// See target_names.hpp.
#include "relay/target_names.hpp"

namespace smartvpn::relay {

TargetNames::~TargetNames() {
  for (auto& [host, name] : names_)
    if (name.look_up != 0) resolver_.cancel(name.look_up);
}

const TargetNames::Found* TargetNames::find(const std::string& host, Waiter& waiter) {
  Name& name = names_[host];
  if (name.look_up == 0 && name.until > loop_.now()) return &name.found;
  name.waiters.insert(&waiter);
  if (name.look_up != 0) return nullptr;
  name.look_up = resolver_.resolve(host, 0, [this, host](Found found) { learned(host, std::move(found)); });
  if (name.look_up != 0) return nullptr;
  name.waiters.erase(&waiter);
  name.found = make_error(Status::AGAIN, "too many names are being looked up");
  name.until = loop_.now();
  return &name.found;
}

void TargetNames::cancel(const std::string& host, Waiter& waiter) noexcept {
  const auto found = names_.find(host);
  if (found != names_.end()) found->second.waiters.erase(&waiter);
}

// Who is told may end, or ask for another name; names stay where they are meanwhile.
void TargetNames::learned(const std::string& host, Found found) {
  Name& name = names_[host];
  name.look_up = 0;
  name.until = loop_.now() + (found ? kFresh : kFailedFresh);
  name.found = std::move(found);
  while (!name.waiters.empty()) {
    Waiter* next = *name.waiters.begin();
    name.waiters.erase(name.waiters.begin());
    next->on_name(name.found);
  }
}

void TargetNames::prune() {
  std::erase_if(names_, [now = loop_.now()](const auto& entry) {
    return entry.second.look_up == 0 && entry.second.until <= now && entry.second.waiters.empty();
  });
}

}  // namespace smartvpn::relay
