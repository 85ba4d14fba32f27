# What tests need of a build. A source that needs what the build has not is left out here, and nothing is skipped when
# it runs: what is absent is for tests/abi/test_switches.c to judge. An entry is the end of a source's path, without its
# suffix.
set(needs_tls "unit/net/tls_test" "unit/relay/(relay_tls|relay_tls_host|tls_ends)_test"
  "unit/server/(deadlines|scarcity|slow_peers|tls_listener)_test"
  "fuzz/fuzz_tls"
  "unit/config/(compare|document|relay_tls_config|server_config|tunnel_config)_test")
set(needs_websocket "unit/transport/ws/.*"
  "unit/server/(deadlines|hanging_store|proxy_header|real_ip|registry_hub)_test"
  "unit/config/(compare|document|key_table|server_config|store_config)_test"
  "abi/test_(callbacks|errors|events|handles|reconfigure|transactions)"
  "fuzz/fuzz_control_stream")
set(needs_wireguard "unit/relay/relay_wireguard_test" "unit/server/wireguard_.*_test" "unit/transport/wireguard/.*" "unit/config/server_config_test"
  "fuzz/fuzz_wireguard_.*" "abi/test_wireguard")
set(needs_tunnel "unit/server/(authorize|authorize_callback|change_under_traffic|client_policy|client_stats)_test"
  "unit/server/(destination|identity_narrowing|identity_posing|lifecycle|limits|memory|rate_limit)_test"
  "unit/server/(reconfigure|registry|scarcity|server|slow_peers|stranger_handshake|tls_listener|upgrade_refusal)_test"
  "abi/test_(authorize|config|descriptors|fork|lifecycle|packets|registry|relay|sessions|stats|structs)"
  "abi/cpp_host_test"
  "fuzz/fuzz_abi")
set(needs_relay "abi/test_relay")
set(needs_tun "abi/test_(config|descriptors|registry)"
  "unit/(forward/(tun_device|tun_queues|tun_revival|tun_traffic)|server/queue_engine)_test"
  "unit/config/(compare|document|key_table|server_config|store_config|tunnel_config)_test")
set(needs_sqlite "unit/config/store_config_test"
  "unit/registry/(sqlite_.*|store_test)"
  "fuzz/fuzz_(client|store_row)")
set(needs_qr "unit/export/qr_test")
list(APPEND needs_websocket ${needs_tunnel}) # the only transport to dial

# What runs the command, or hosts of many servers, is for builds that have everything.
set(SMARTVPN_COMPLETE ON)
foreach(feature TLS WEBSOCKET WIREGUARD TUNNEL RELAY TUN SQLITE QR)
  if(NOT SMARTVPN_WITH_${feature})
    set(SMARTVPN_COMPLETE OFF)
  endif()
endforeach()

# Takes from the list of that name what this build cannot run.
function(smartvpn_buildable name)
  set(left ${${name}})
  foreach(feature tls websocket wireguard tunnel relay tun sqlite qr)
    string(TOUPPER ${feature} switch)
    if(NOT SMARTVPN_WITH_${switch})
      foreach(entry IN LISTS needs_${feature})
        list(FILTER left EXCLUDE REGEX "/${entry}\\.[a-z]+$")
      endforeach()
    endif()
  endforeach()
  set(${name} ${left} PARENT_SCOPE)
endfunction()
