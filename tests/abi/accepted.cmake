# What was accepted of the interface (scripts/abi.sh), and programs in less usual company: compiled with another header,
# beside a llhttp of their own, with the source tree inside their own.
if(SMARTVPN_LLHTTP_SOURCES AND SMARTVPN_LLHTTP_INCLUDE)
  list(GET SMARTVPN_LLHTTP_SOURCES 0 llhttp)
  get_filename_component(llhttp ${llhttp} DIRECTORY)
  abi_installed_test(consumer.own_llhttp sh ${here}/own_llhttp.sh ${here}/own_llhttp ${work}/own_llhttp ${llhttp}
    ${SMARTVPN_LLHTTP_INCLUDE})
endif()

# The switches that decide what is in an object, so that both builds could exchange theirs.
set(same -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE} -DCMAKE_UNITY_BUILD=$<BOOL:${CMAKE_UNITY_BUILD}>
  -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER})
foreach(switch TLS WEBSOCKET TUNNEL TUN SQLITE QR)
  list(APPEND same -DSMARTVPN_WITH_${switch}=${SMARTVPN_WITH_${switch}})
endforeach()
foreach(by add fetch)
  add_test(NAME abi.consumer.subproject.${by} COMMAND sh ${here}/subproject.sh ${by} ${PROJECT_SOURCE_DIR}
    ${PROJECT_BINARY_DIR} ${CMAKE_GENERATOR} ${work}/subproject_${by} ${same})
  set_tests_properties(abi.consumer.subproject.${by} PROPERTIES LABELS abi TIMEOUT 600)
endforeach()

# These scenarios need a tunnel, and show what every part of a complete build does.
if(SMARTVPN_WITH_TUNNEL AND SMARTVPN_WITH_QR AND SMARTVPN_WITH_SQLITE AND SMARTVPN_WITH_TLS AND SMARTVPN_WITH_TUN)
  add_test(NAME abi.old_header COMMAND sh ${here}/old_header.sh ${here} $<TARGET_FILE:smartvpn> ${work}/old_header)
  set_tests_properties(abi.old_header PROPERTIES LABELS abi TIMEOUT 300 ENVIRONMENT "CC=${CMAKE_C_COMPILER}")
endif()

# The dump is of one architecture. Switches change nothing in it.
find_program(SMARTVPN_ABIDIFF abidiff)
if(SMARTVPN_ABIDIFF AND CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_test(NAME abi.abidiff COMMAND ${PROJECT_SOURCE_DIR}/scripts/abi.sh --library $<TARGET_FILE:smartvpn>)
  add_test(NAME abi.abidiff_selftest COMMAND ${Python3_EXECUTABLE} -B ${here}/abi_selftest.py ${PROJECT_SOURCE_DIR}
    $<TARGET_FILE:smartvpn> ${work}/abi_selftest)
  set_tests_properties(abi.abidiff abi.abidiff_selftest PROPERTIES LABELS abi TIMEOUT 120)
endif()
