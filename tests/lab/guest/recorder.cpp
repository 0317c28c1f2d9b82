// recorder DISK - the guest's only program: a ring of numbered records on the disk, one more each
// second.
//
// Every record carries its number, the life of the guest that wrote it, the guest's uptime and the
// checksum of the record before it, so that the disk holds one chain. At the start the whole chain
// is checked and continued from its end; before each write everything on the ring is read back and
// compared with what was written. Written with O_DIRECT | O_SYNC: "ok" means that DRBD said so.
//
// On the console:
//   record chain FIRST..LAST ok      at the start ("record chain empty" on a blank disk)
//   record N ok +MS ms               written; so many milliseconds after the one before
//   RECORD LOST ...                  something that was written is not there
//   RECORD MIXED ...                 a record of another writer is there
//   RECORD FAILED ...                the disk returned an error
// After a line in capitals nothing is written any more: what is on the disk stays to be looked at.
//
// `recorder check DISK` does the first of these only, and fails after a complaint.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace {

constexpr std::uint64_t our_magic = 0x64726f6365722d58;
constexpr std::size_t slot_count = 128;

struct Record {
  std::uint64_t magic;
  std::uint64_t number;  // from 1
  std::uint64_t life;    // one per start of a guest, see new_life()
  std::uint64_t uptime_ms;
  std::uint64_t previous;  // checksum of record number - 1, 0 in the first
  std::array<std::uint64_t, 58> filler;
  std::uint64_t checksum;  // over everything above
};
static_assert(sizeof(Record) == 512);

using Ring = std::array<Record, slot_count>;
alignas(4096) Ring on_disk;
alignas(4096) Record next_record;
Ring expected;

Record& slot(Ring& ring, std::uint64_t number) {
  return ring[number % slot_count];
}

// FNV-1a of some bytes that follow those of which `sum` is one.
std::uint64_t fnv1a(const void* bytes, std::size_t size, std::uint64_t sum = 0xcbf29ce484222325) {
  for (const auto* byte = static_cast<const unsigned char*>(bytes); size-- > 0; ++byte)
    sum = (sum ^ *byte) * 0x100000001b3;
  return sum;
}

std::uint64_t checksum(const Record& record) {
  return fnv1a(&record, offsetof(Record, checksum));
}

// Another for each start of each guest: xl draws a UUID for every guest that it creates, and one
// that reboots starts at another time. Not getrandom: in emulation a kernel that has just started
// needs a second of computing until it has randomness.
std::uint64_t new_life() {
  std::array<char, 36> uuid{};
  const int file = open("/sys/hypervisor/uuid", O_RDONLY | O_CLOEXEC);
  if (file < 0 || read(file, uuid.data(), uuid.size()) != ssize_t{uuid.size()})
    return 0;
  close(file);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return fnv1a(&now, sizeof now, fnv1a(uuid.data(), uuid.size()));
}

bool valid(const Record& record) {
  return record.magic == our_magic && record.checksum == checksum(record);
}

bool blank(const Record& record) {
  static constexpr Record zero{};
  return std::memcmp(&record, &zero, sizeof record) == 0;
}

std::uint64_t milliseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

// One line to the console in one piece.
__attribute__((format(printf, 1, 2))) void line(const char* format, ...) {
  std::array<char, 256> text;
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(text.data(), text.size() - 1, format, arguments);
  va_end(arguments);
  std::size_t size = static_cast<std::size_t>(length) < text.size() - 1
                         ? static_cast<std::size_t>(length)
                         : text.size() - 2;
  text[size++] = '\n';
  if (write(STDOUT_FILENO, text.data(), size) < 0)
    return;
}

[[noreturn]] void stop() {
  while (true)
    pause();
}

bool read_ring(int disk) {
  if (pread(disk, &on_disk, sizeof on_disk, 0) == sizeof on_disk)
    return true;
  line("RECORD FAILED reading: %s", std::strerror(errno));
  return false;
}

// Checks what an earlier life left behind. The number of the last record, or -1 after a complaint.
std::int64_t check_chain() {
  std::uint64_t last = 0;
  for (std::size_t index = 0; index < slot_count; ++index) {
    const Record& record = on_disk[index];
    if (blank(record))
      continue;
    if (!valid(record) || record.number % slot_count != index) {
      line("RECORD LOST slot %zu holds no whole record", index);
      return -1;
    }
    if (record.number > last)
      last = record.number;
  }
  if (last == 0) {
    line("record chain empty");
    return 0;
  }
  const std::uint64_t first = last < slot_count ? 1 : last - slot_count + 1;
  for (std::uint64_t number = first; number <= last; ++number) {
    const Record& record = slot(on_disk, number);
    if (record.number != number) {
      line("RECORD LOST %" PRIu64 " before %" PRIu64 ", found %" PRIu64, number, last,
           record.number);
      return -1;
    }
    const bool follows = number == 1       ? record.previous == 0
                         : number == first ? true
                                           : record.previous == slot(on_disk, number - 1).checksum;
    if (!follows) {
      line("RECORD MIXED %" PRIu64 " does not follow the one before", number);
      return -1;
    }
  }
  line("record chain %" PRIu64 "..%" PRIu64 " ok", first, last);
  return static_cast<std::int64_t>(last);
}

// Compares the whole ring with what was read at the start and written since.
bool check_written(std::uint64_t life) {
  for (std::size_t index = 0; index < slot_count; ++index) {
    if (std::memcmp(&on_disk[index], &expected[index], sizeof(Record)) == 0)
      continue;
    const Record& found = on_disk[index];
    if (valid(found) && found.life != life) {
      line("RECORD MIXED slot %zu: %" PRIu64 " of another writer instead of %" PRIu64, index,
           found.number, expected[index].number);
    } else {
      line("RECORD LOST %" PRIu64 ", found %s %" PRIu64, expected[index].number,
           valid(found) ? "record" : "no record", found.number);
    }
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2)
    return 2;
  const bool check_only = argc == 3 && std::strcmp(argv[1], "check") == 0;
  const int mode = check_only ? O_RDONLY : O_RDWR | O_SYNC;
  const int disk = open(argv[argc - 1], mode | O_DIRECT | O_CLOEXEC);
  if (disk < 0) {
    line("RECORD FAILED opening %s: %s", argv[argc - 1], std::strerror(errno));
    if (check_only)
      return 1;
    stop();
  }
  if (check_only)
    return read_ring(disk) && check_chain() >= 0 ? 0 : 1;
  if (!read_ring(disk))
    stop();
  const std::int64_t found = check_chain();
  if (found < 0)
    stop();
  expected = on_disk;

  const std::uint64_t life = new_life();
  if (life == 0) {
    line("RECORD FAILED reading the guest's UUID: %s", std::strerror(errno));
    stop();
  }

  auto last = static_cast<std::uint64_t>(found);
  std::uint64_t written_at = milliseconds(CLOCK_REALTIME);
  while (true) {
    if (!read_ring(disk) || !check_written(life))
      stop();
    next_record = {};
    next_record.magic = our_magic;
    next_record.number = last + 1;
    next_record.life = life;
    next_record.uptime_ms = milliseconds(CLOCK_MONOTONIC);
    next_record.previous = last == 0 ? 0 : slot(expected, last).checksum;
    next_record.filler.fill(life ^ next_record.number);
    next_record.checksum = checksum(next_record);
    const auto offset = static_cast<off_t>(next_record.number % slot_count * sizeof(Record));
    if (pwrite(disk, &next_record, sizeof next_record, offset) != sizeof next_record) {
      line("RECORD FAILED writing %" PRIu64 ": %s", next_record.number, std::strerror(errno));
      stop();
    }
    ++last;
    slot(expected, last) = next_record;
    const std::uint64_t now = milliseconds(CLOCK_REALTIME);
    line("record %" PRIu64 " ok +%" PRId64 " ms", last,
         static_cast<std::int64_t>(now - written_at));
    written_at = now;
    sleep(1);
  }
}
