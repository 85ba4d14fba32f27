# Runs PROGRAM and succeeds if it fails, and says which test of it did, and that the other passed.
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
string(REGEX MATCH "FAILED[^\n]*fails_deliberately" failed "${output}")
string(REGEX MATCH "OK [^\n]*passes" passed "${output}")
if(result EQUAL 0 OR NOT failed OR NOT passed)
  message(FATAL_ERROR "exit status ${result}, and this output:\n${output}")
endif()
