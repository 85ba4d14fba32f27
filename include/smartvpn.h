#ifndef SMARTVPN_H
#define SMARTVPN_H
#define SMARTVPN_VERSION_STRING "0.1.0"
#endif
