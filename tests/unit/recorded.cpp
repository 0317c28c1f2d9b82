// What was run, as `test --verbose` tells it.
#include "process/recorded.h"

#include "catch.h"

using namespace block_drbd;
using namespace block_drbd::process;

TEST_CASE("nothing of a run is what a terminal obeys", "[recorded]") {
  const std::vector<Run> runs{
      {.argv = {"xl", "create", "a\x1b[2J.cfg"},
       .took = Duration(5),
       .result = Output{.exit_code = 1, .out = "protocol\tC;\n\n", .err = "b\x1b[2J\r\n"}},
      {.argv = {"drbdadm", "sh-resources"}, .took = Duration(7), .result = failure("no answer")}};
  CHECK(in_words(runs) ==
        "\n$ xl create a?[2J.cfg    # 5 ms, exit code 1\n"
        "    protocol C;\n"
        "    \n"
        "    b?[2J?\n"
        "\n$ drbdadm sh-resources    # 7 ms, no answer\n");
}
