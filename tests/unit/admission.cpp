#include "hotplug/admission.h"

#include "catch.h"
#include "fakes.h"
#include "hotplug/add.h"
#include "hotplug/remove.h"

using namespace block_drbd;
using namespace block_drbd::hotplug;
using namespace block_drbd::test;
using namespace std::chrono_literals;

namespace {

const auto not_in_haste = [] { return false; };

/// Others have all the places.
struct Crowd {
  FakeRecords records;
  FakeClock clock;
  FakeReport report;
  Crowd() {
    for (unsigned number = 0; number < 4; ++number)
      records.places_taken[number] = true;
  }
};

}  // namespace

TEST_CASE("a few have a place at the same time; the next has one when one of them is done") {
  FakeRecords records;
  FakeClock clock;
  FakeReport report;
  std::vector<std::unique_ptr<record::Lock>> at_work;
  while (auto place = take_place(records, clock, report, [] { return true; }))
    at_work.push_back(std::move(place));
  CHECK(at_work.size() == 4);
  CHECK(clock.elapsed() == Duration(0));

  clock.at(Duration(200), [&] { at_work.pop_back(); });
  const auto place = take_place(records, clock, report, not_in_haste);
  CHECK(place);
  CHECK(clock.elapsed() >= Duration(200));
  CHECK(clock.elapsed() <= Duration(250));
}

TEST_CASE_METHOD(Crowd, "those who are stuck do not keep the others out for ever") {
  SECTION("an arriving guest does not wait at all") {
    CHECK_FALSE(take_place(records, clock, report, [] { return true; }));
    CHECK(clock.elapsed() == Duration(0));
  }
  SECTION("who starts goes on after a while") {
    CHECK_FALSE(take_place(records, clock, report, not_in_haste));
    CHECK(clock.elapsed() >= 5s);
    CHECK(clock.elapsed() < 6s);
    CHECK(report.said.size() == 1);
  }
  SECTION("who is asked to end goes on at once") {
    clock.at(Duration(100), [&] { clock.asked_to_end = true; });
    CHECK_FALSE(take_place(records, clock, report, not_in_haste));
    CHECK(clock.elapsed() < Duration(150));
  }
}

TEST_CASE_METHOD(Crowd, "as long as others get their turn, one's own is waited for") {
  for (int second = 1; second < 60; ++second)
    clock.at(std::chrono::seconds(second), [&] { ++records.turns[2]; });

  SECTION("until it comes") {
    clock.at(8s, [&] { records.places_taken[1] = false; });
    CHECK(take_place(records, clock, report, not_in_haste));
    CHECK(clock.elapsed() >= 8s);
    CHECK(clock.elapsed() < 9s);
  }
  SECTION("but not for longer than the work may need") {
    CHECK_FALSE(take_place(records, clock, report, not_in_haste));
    CHECK(clock.elapsed() >= 10s);
    CHECK(clock.elapsed() < 11s);
  }
  CHECK(report.said.size() == 1);
}

TEST_CASE("who waits for something else gives its place up, and who does not keeps it") {
  FakeNode node;
  node.host.place = *node.records.try_lock_place(0);
  bool taken = true;
  node.clock.at(100ms, [&] { taken = node.records.places_taken[0]; });
  SECTION("a start waits for the peer") {
    node.peer_is(drbd::Role::Primary);
    CHECK_FALSE(add(node.host, FakeNode::path(5)));
  }
  SECTION("a start waits for another one's lock") {
    node.records.resource_locked = true;
    node.clock.at(150ms, [&] { node.records.resource_locked = false; });
    CHECK(add(node.host, FakeNode::path(5)));
  }
  SECTION("an end waits for the device to be closed") {
    REQUIRE(add(node.host, FakeNode::path(5)));
    REQUIRE(node.host.place);
    node.drbd.open.insert(1);
    node.closing(5);
    CHECK_FALSE(node.remove(5));
  }
  CHECK_FALSE(taken);
}
