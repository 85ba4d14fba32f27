// See thread_spares.hpp.
#include "base/thread_spares.hpp"

namespace smartvpn {
namespace {

constinit thread_local ThreadSpares* spares_of_this_thread = nullptr;

}  // namespace

ThreadSpares::ThreadSpares() noexcept { spares_of_this_thread = this; }
ThreadSpares::~ThreadSpares() { spares_of_this_thread = nullptr; }
ThreadSpares* ThreadSpares::current() noexcept { return spares_of_this_thread; }

}  // namespace smartvpn
