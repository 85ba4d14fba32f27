// Numbers 0 to 2 belong to the host's standard streams, also where it has closed them: a stray printf() would go
// into whatever of ours had taken such a number.
#pragma once

namespace smartvpn {

// `fd` if it is above 2 or negative. Else a close-on-exec duplicate above 2, with `fd` closed; -1 with errno set when
// there is no descriptor left for it. Any thread.
int above_standard(int fd) noexcept;

}  // namespace smartvpn
