# Read by ctest behind the list of scenarios.

# These do not prove the program, but the model that the simulation runs on, and take long.
set_tests_properties(
  "lab:scripts of events: DRBD alone"
  "lab:scripts of events: guests"
  PROPERTIES LABELS "lab;model")

# Sixteen block scripts at once on the node's one emulated processor come near the toolstack's time
# limit: nothing else may slow them.
set_tests_properties(
  "lab:a guest has sixteen disks - all come and go at once"
  PROPERTIES RUN_SERIAL TRUE)
