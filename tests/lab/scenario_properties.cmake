# Read by ctest behind the list of scenarios.

# These take long. The scripts do not prove the program, but the model that the simulation runs on.
set_tests_properties(
  "lab:scripts of events: DRBD alone"
  "lab:scripts of events: guests"
  "lab:an HVM guest boots from an IDE disk, which takes minutes here"
  "lab:a guest lives through anything in any order - its records are whole"
  PROPERTIES LABELS "lab;long")

# Sixteen block scripts at once on the node's one emulated processor come near the toolstack's time
# limit: nothing else may slow them.
set_tests_properties(
  "lab:a guest has sixteen disks - all come and go at once"
  PROPERTIES RUN_SERIAL TRUE)
