// /etc/resolv.conf with other name servers for a while. What was there stays in the file as comments, so there is no
// backup that could be lost, grow old or belong to somebody else, and whoever finds the file after a crash can put it
// back. A program that writes the file meanwhile (a DHCP client) wins: nothing of ours is in it any more.
#pragma once

#include <string>
#include <vector>

namespace smartvpn::cli {

// The text with our lines in it, and as it was before; a text without any of ours stays as it is.
std::string with_name_servers(const std::string& text, const std::vector<std::string>& servers);
std::string without_ours(const std::string& text);

// Puts the servers into the file, in place of those that it has. Atomically, but where the file is a mount point.
// Throws Failure.
void set_name_servers(const std::string& file, const std::vector<std::string>& servers);
// Takes them out. False if there was nothing of ours.
bool restore_name_servers(const std::string& file);

}  // namespace smartvpn::cli
