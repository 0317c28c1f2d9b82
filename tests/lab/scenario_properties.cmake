# Read by ctest behind the list of scenarios.

# With `tests/run --all` only: they take long, or what they try besides Xen and DRBD themselves is tried by another
# scenario, by tests/faults or by the simulation as well. The scripts do not prove the program, but the model that the
# simulation runs on.
set_tests_properties(
  "lab:a node stands still for a while - no other gets its guest, which then goes on"
  "lab:the disk of the source, then of the target, fails in a migration - the guest arrives"
  "lab:a verify runs, and packets are lost - a guest starts, migrates and ends"
  "lab:a link is slow - a guest starts, migrates there and back, and ends"
  "lab:a link works in one direction only - no other node gets the guest"
  "lab:a fence handler fails, hangs, or fences - the guest starts only then"
  "lab:a disk fails, the link flaps, a resync runs - the guest loses nothing, and migrates if it may"
  "lab:block-drbd test tells why two nodes parted - what it prints joins them"
  "lab:four hundred resources are configured - a guest starts and stops all the same"
  "lab:ten guests are started and ended at once - each has its resource"
  "lab:scripts of events: DRBD alone"
  "lab:scripts of events: guests"
  "lab:an HVM guest boots from an IDE disk, which takes minutes here"
  "lab:an HVM guest boots from its disk through QEMU, and migrates live"
  "lab:a PV guest boots through pygrub from its disk - the role outlasts pygrub"
  "lab:a guest boots through pygrub where the peer is away - by decision, and when it reboots"
  "lab:xenstored is started anew under a guest - nobody else gets its disk"
  "lab:a PVH guest is created and writes - its node is Primary until shutdown"
  "lab:a guest is created paused, is paused, hangs, and is destroyed"
  "lab:a guest crashes - restart, destroy, preserve and rename-restart"
  "lab:a guest has sixteen disks - all come and go at once"
  "lab:a guest has its disk from a driver domain - the role there goes with it"
  "lab:a guest is on a stacked resource - it migrates to the third site"
  "lab:both nodes lose power - the guest starts on either, on one at a time"
  "lab:both nodes lose power while the link is cut - the records of that time are found"
  "lab:the network is lost after the target's add - the guest goes on"
  "lab:the source loses power in the hand-over - the nodes find together again"
  "lab:the source loses power after the guest's arrival - it connects again"
  "lab:the link is lost after the guest's arrival - the nodes find together again"
  "lab:the target's keeper is killed - the source's keeper closes the window"
  "lab:the final report of a migration is lost - the guest runs on its target"
  "lab:block-drbd is installed as a package - a guest migrates, a purge brings the original"
  "lab:a guest is saved, and restored here and on the other node"
  "lab:block-drbd is killed as a guest starts or ends - the next call puts all in order"
  "lab:block-drbd is killed as a guest arrives - the next call puts all in order"
  "lab:a node loses power while add runs for a guest that starts - either node starts it then"
  "lab:a node loses power while add runs for a guest that migrates - the nodes find together again"
  "lab:a guest has drbd:, phy: and file: disks - each is attached by its own way"
  PROPERTIES LABELS "lab;long")

# As long as LAB_SOAK says, and as LAB_EVERY.
set_tests_properties(
  "lab:block-drbd is killed as a guest starts or ends - the next call puts all in order"
  "lab:block-drbd is killed as a guest arrives - the next call puts all in order"
  "lab:a guest lives through anything in any order - its records are whole"
  PROPERTIES TIMEOUT 7200)

# Sixteen block scripts at once on the node's one emulated processor come near the toolstack's time
# limit: no more than one other test may slow them.
set_tests_properties(
  "lab:a guest has sixteen disks - all come and go at once"
  PROPERTIES PROCESSORS 3)

# With the package that the test `pack` makes.
set_tests_properties(
  "lab:block-drbd is installed as a package - a guest migrates, a purge brings the original"
  PROPERTIES FIXTURES_REQUIRED "lab;pack")

# Of what runs by default, the longest begin first, so that at the end no lab waits for the other one's.
set_tests_properties(
  "lab:the link is cut under a guest - a start on the other side does no harm"
  "lab:a node loses power - starts ask for a decision, a running guest may reboot"
  "lab:the target loses power in the hand-over - the nodes find together again"
  "lab:disks are attached in every spelling, and detached, one while it is used"
  "lab:a migration breaks off after the target's add - the guest goes on"
  "lab:a guest lives through anything in any order - its records are whole"
  PROPERTIES COST 100)
