#include "spec/disk_spec.h"

#include <algorithm>
#include <charconv>

namespace block_drbd {

namespace {

constexpr std::size_t longest_name = 127;  // the kernel's limit for a resource's name
constexpr int highest_volume = 65534;      // DRBD_VOLUME_MAX of DRBD 9; 8.4 allows fewer

bool may_stand_in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '+' || c == '-';
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

tl::unexpected<Error> bad_spec(std::string_view text, std::string_view why) {
  return failure("the disk '" + printable(text) + "' is not a DRBD disk: " + std::string(why) +
                 ". Write it as drbd:RESOURCE or drbd:RESOURCE/VOLUME in the guest's disk line");
}

}  // namespace

bool is_resource_name(std::string_view text) {
  // To drbdadm(8) "all" is all of them.
  return !text.empty() && text != "all" && text.size() <= longest_name && text.front() != '-' &&
         text.front() != '.' && std::all_of(text.begin(), text.end(), may_stand_in_name);
}

Result<DiskSpec> parse_disk_spec(std::string_view text) {
  std::string_view rest = trimmed(text);
  if (rest.starts_with("drbd:"))
    rest = trimmed(rest.substr(5));

  DiskSpec spec;
  const auto slash = rest.find('/');
  const std::string_view name = rest.substr(0, slash);
  if (name.empty())
    return bad_spec(text, "it names no resource");
  if (name.size() > longest_name)
    return bad_spec(text, "the resource's name is too long");
  if (!is_resource_name(name))
    return bad_spec(text,
                    "a resource's name has only letters, digits and _ . + -, and is not `all`");
  spec.resource = name;

  if (slash != std::string_view::npos) {
    const std::string_view number = rest.substr(slash + 1);
    const char* end = number.data() + number.size();
    int volume = 0;
    const auto [stop, error] = std::from_chars(number.data(), end, volume);
    if (number.empty() || error != std::errc() || stop != end || volume < 0 ||
        volume > highest_volume)
      return bad_spec(text, "'" + printable(number) + "' is not the number of a volume");
    spec.volume = volume;
  }
  return spec;
}

std::string printable(std::string_view text, std::size_t longest) {
  std::string safe(text.substr(0, longest));
  std::replace_if(
      safe.begin(), safe.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  if (text.size() > longest)
    safe += "...";
  return safe;
}

}  // namespace block_drbd
