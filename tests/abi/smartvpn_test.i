// What tests/abi/swig_program.py needs of the header in Python: output handles as results.
%module smartvpn_test
%{
#include "smartvpn.h"
%}
%include <stdint.i>
%include <cpointer.i>
%include "smartvpn.h"
%inline %{
smartvpn_config *config_from(const char *json) {
  smartvpn_config *out = NULL;
  return smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &out, NULL) < 0 ? NULL : out;
}
smartvpn_server *server_of(const smartvpn_config *config) {
  smartvpn_server *out = NULL;
  return smartvpn_server_create(config, &out, NULL) < 0 ? NULL : out;
}
smartvpn_events *events_of(smartvpn_server *server) {
  smartvpn_events *out = NULL;
  return smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 64, &out, NULL) < 0 ? NULL : out;
}
smartvpn_event *next_of(smartvpn_events *events) {
  smartvpn_event *out = NULL;
  return smartvpn_events_next(events, 10000, &out, NULL) < 0 ? NULL : out;
}
%}
