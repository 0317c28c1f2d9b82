#include "diagnose/text.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "drbd/text.h"

namespace block_drbd::diagnose {

namespace {

constexpr std::size_t width = 80;

enum class Colour { Plain, Good, Bad, Faint };

/// Words between blanks, broken into lines; the first begins with `first`, the others with as many
/// blanks.
std::string wrapped(const std::string& first, std::string_view text) {
  std::string out = first;
  std::size_t column = first.size();
  bool at_begin = true;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (!at_begin && column + 1 + word.size() > width) {
      out += '\n' + std::string(first.size(), ' ');
      column = first.size();
    } else if (!at_begin) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    at_begin = false;
  }
  return out + '\n';
}

/// What is on the screen: one line for each volume, and for each of its peers if there are several.
class Table {
 public:
  static constexpr std::size_t columns = 8;
  using Row = std::array<std::string, columns>;

  explicit Table(Row titles) { add(std::move(titles), Colour::Faint); }

  void add(Row row, Colour colour) { rows_.emplace_back(std::move(row), colour); }

  template <typename Paint>
  std::string text(Paint paint) const {
    std::array<std::size_t, columns> widths{};  // 0: nothing but a title
    for (std::size_t each = 0; each < columns; ++each)
      if (std::any_of(rows_.begin() + 1, rows_.end(),
                      [&](const auto& row) { return !row.first[each].empty(); }))
        for (const auto& [row, colour] : rows_)
          widths[each] = std::max(widths[each], row[each].size());
    std::string out;
    for (const auto& [row, colour] : rows_) {
      std::string line;
      for (std::size_t each = 0; each < columns; ++each) {
        if (widths[each] == 0)
          continue;
        const bool is_role = (each == 2 || each == 4) && widths[each + 1] > 0;  // its disk follows
        line += row[each] + std::string(widths[each] - row[each].size() + (is_role ? 1 : 2), ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += paint(line, colour) + '\n';
    }
    return out;
  }

 private:
  std::vector<std::pair<Row, Colour>> rows_;
};

std::string word_for(drbd::Role role) {
  return std::string(to_string(role));
}

const drbd::PeerVolume* volume_of(const drbd::Peer& peer, int number) {
  const auto found = std::ranges::find(peer.volumes, number, &drbd::PeerVolume::number);
  return found == peer.volumes.end() ? nullptr : &*found;
}

/// The connection, or what replication does where that says more.
std::string connection_of(const drbd::Peer& peer, const drbd::PeerVolume* volume) {
  const bool says_more = volume != nullptr && volume->replication != drbd::Replication::Unknown &&
                         volume->replication != drbd::Replication::Off &&
                         volume->replication != drbd::Replication::Established;
  return std::string(says_more ? to_string(volume->replication) : to_string(peer.connection));
}

/// What is said of one resource, without its name and numbers: the same for many when, say, the
/// network between the nodes is down.
std::string pattern_of(std::string text, const std::string& resource) {
  for (auto at = text.find(resource); !resource.empty() && at != std::string::npos;
       at = text.find(resource, at))
    text.replace(at, resource.size(), 1, '\0');
  const auto is_digit = [](char each) { return each >= '0' && each <= '9'; };
  std::ranges::replace_if(text, is_digit, '#');
  text.erase(
      std::unique(text.begin(), text.end(), [](char a, char b) { return a == '#' && b == '#'; }),
      text.end());
  return text;
}

/// Those of which the same is said come together, at the place of the first.
template <typename Item, typename PatternOf>
std::vector<std::vector<const Item*>> alike(const std::vector<const Item*>& items,
                                            PatternOf pattern_of) {
  std::vector<std::vector<const Item*>> groups;
  std::map<std::string, std::size_t> group_of;
  for (const Item* item : items) {
    const auto [group, is_new] = group_of.try_emplace(pattern_of(*item), groups.size());
    if (is_new)
      groups.emplace_back();
    groups[group->second].push_back(item);
  }
  return groups;
}

class Words {
 public:
  Words(const Facts& facts, const Examination& examination, Style style)
      : facts_(facts), examination_(examination), style_(style) {}

  std::string text() const { return title() + table() + verdicts() + findings() + summary(); }

 private:
  std::string painted(const std::string& text, Colour colour) const {
    if (!style_.in_colour || colour == Colour::Plain)
      return text;
    const char* code = colour == Colour::Good ? "32" : colour == Colour::Bad ? "31" : "2";
    return "\033[" + std::string(code) + 'm' + text + "\033[0m";
  }

  std::string title() const {
    const std::string drbd = !facts_.drbd.version.empty()  ? "DRBD " + facts_.drbd.version
                             : facts_.drbd_trouble.empty() ? "no DRBD"
                                                           : "DRBD does not answer";
    const std::string script =
        facts_.script == Script::Ours ? ", " XEN_SCRIPT " is this program" : "";
    const std::string config =
        facts_.config.is_set ? std::string("configured by ") + config::path + '\n' : "";
    return facts_.node + ": " + drbd + script + '\n' + config;
  }

  std::string table() const {
    Table table({"device", "resource", "here", "", "there", "", "connection", "guest"});
    bool any = false;
    for (const ExaminedDisk& disk : examination_.disks)
      if (disk.volume != nullptr) {
        add_rows(table, disk);
        any = true;
      }
    return any ? '\n' + table.text([&](const std::string& line, Colour colour) {
      return painted(line, colour);
    })
               : "";
  }

  static Colour colour_of(const ExaminedDisk& disk) {
    if (!disk.verdicts.is_fine())
      return Colour::Bad;
    return disk.user ? Colour::Good : Colour::Plain;
  }

  static void add_rows(Table& table, const ExaminedDisk& disk) {
    const drbd::Resource& resource = *disk.resource;
    const drbd::Volume& volume = *disk.volume;
    std::string name = resource.name;
    if (resource.volumes.size() > 1)
      name += '/' + std::to_string(volume.number);
    std::string guest;
    if (disk.user)
      guest = (disk.user->domain.name.empty() ? std::to_string(disk.user->domain.id)
                                              : printable(disk.user->domain.name)) +
              ' ' + printable(disk.user->backend.dev);
    Table::Row row{"drbd" + std::to_string(volume.minor),
                   name,
                   word_for(role_of(resource, volume)),
                   std::string(to_string(volume.disk)),
                   "",
                   "",
                   "",
                   guest};
    if (resource.peers.empty())
      row[6] = "StandAlone";
    if (resource.peers.size() == 1)
      add_peer(row, resource.peers.front(), volume.number);
    table.add(row, colour_of(disk));
    if (resource.peers.size() < 2)
      return;
    for (const drbd::Peer& peer : resource.peers) {
      Table::Row branch;
      branch[1] = (&peer == &resource.peers.back() ? "`- " : "|- ") + peer.name;
      add_peer(branch, peer, volume.number);
      table.add(branch, colour_of(disk));
    }
  }

  static void add_peer(Table::Row& row, const drbd::Peer& peer, int number) {
    const drbd::PeerVolume* volume = volume_of(peer, number);
    row[4] = word_for(peer.role);
    row[5] = volume == nullptr ? "" : std::string(to_string(volume->disk));
    row[6] = connection_of(peer, volume);
  }

  static std::string title_of(const ExaminedDisk& disk) {
    const Target& target = disk.target;
    std::string title = target.spec.resource;
    const bool is_only_one =
        disk.volume != nullptr && disk.resource->volumes.size() == 1 && target.guest.empty();
    if (target.spec.volume && !is_only_one)
      title += '/' + std::to_string(*target.spec.volume);
    if (!target.guest.empty())
      title += " (guest " + printable(target.guest) +
               (target.vdev.empty() ? "" : ", " + printable(target.vdev)) + ')';
    return title;
  }

  std::string verdict(const char* of, const Verdict& verdict) const {
    const char* word = verdict.outcome == Outcome::Works       ? "yes: "
                       : verdict.outcome == Outcome::InUse     ? "in use: "
                       : verdict.outcome == Outcome::Elsewhere ? "not tested: "
                                                               : "NO: ";
    const Colour colour = verdict.outcome == Outcome::Fails   ? Colour::Bad
                          : verdict.outcome == Outcome::Works ? Colour::Good
                                                              : Colour::Plain;
    const std::string first = std::string("  ") + of;
    std::string text = wrapped(first, word + verdict.text);
    if (style_.in_colour)
      text.replace(first.size(), std::string_view(word).size() - 1,
                   painted(std::string(word, std::string_view(word).size() - 1), colour));
    return text;
  }

  std::string verdicts() const {
    std::vector<const ExaminedDisk*> told;
    for (const ExaminedDisk& disk : examination_.disks)
      if (style_.every_verdict || !disk.verdicts.is_fine())
        told.push_back(&disk);
    const auto name = [](const ExaminedDisk& disk) { return disk.target.spec.resource; };
    const auto pattern = [&](const ExaminedDisk& disk) {
      return pattern_of(disk.verdicts.start.text + '\n' + disk.verdicts.migration.text, name(disk));
    };
    std::string text;
    for (const auto& group : alike(told, pattern))
      text += in_group(
          group,
          [&](const ExaminedDisk& disk) { return title_of(disk) + '\n' + both(disk.verdicts); },
          [](const ExaminedDisk& disk) { return title_of(disk); });
    return text;
  }

  /// Each of a few; of many the first, and the names of the others.
  template <typename Item, typename Tell, typename Name>
  std::string in_group(const std::vector<const Item*>& group, Tell tell, Name name) const {
    constexpr std::size_t few = 3, names = 20;
    const bool is_many = group.size() > few && !style_.every_verdict;
    std::string text;
    for (const Item* item : group)
      if (!is_many || item == group.front())
        text += '\n' + tell(*item);
    if (!is_many)
      return text;
    std::string others;
    for (std::size_t each = 1; each < group.size() && each <= names; ++each)
      others += (each == 1 ? "" : ", ") + name(*group[each]);
    if (group.size() > names + 1)
      others += ", ...";
    return text +
           wrapped("  ", "The same of " + std::to_string(group.size() - 1) + " others: " + others);
  }

  std::string both(const Verdicts& verdicts) const {
    if (verdicts.start.outcome == Outcome::Elsewhere)
      return verdict("start, migrate  ", verdicts.start);
    const bool same = verdicts.start.outcome == Outcome::Fails &&
                      verdicts.migration.outcome == Outcome::Fails &&
                      verdicts.migration.text.starts_with(verdicts.start.text);
    return verdict("start here    ", verdicts.start) +
           verdict("migrate here  ",
                   same ? Verdict{.outcome = Outcome::Fails, .text = "for the same reason"}
                        : verdicts.migration);
  }

  std::string findings() const {
    const auto pattern = [](const Finding& each) {
      // One resync is far, another near its end; and what is about the node is said once.
      const bool is_single = each.id == "resync" || each.resource.empty();
      return is_single ? each.text : pattern_of(each.text, each.resource);
    };
    std::string text;
    for (const bool problems : {true, false}) {
      std::vector<const Finding*> told;
      for (const Finding& each : examination_.findings)
        if (each.is_problem == problems)
          told.push_back(&each);
      for (const auto& group : alike(told, pattern))
        text += in_group(
            group, [&](const Finding& each) { return finding(each); },
            [](const Finding& each) { return each.resource; });
    }
    return text;
  }

  static std::string sentence(const std::string& text) {
    return text.ends_with('.') || text.ends_with('?') ? text : text + '.';
  }

  std::string finding(const Finding& finding) const {
    std::string text = wrapped(finding.is_problem ? "! " : "- ", sentence(finding.text));
    if (finding.is_problem)
      text.replace(0, 1, painted("!", Colour::Bad));
    std::string_view rest = finding.advice;
    while (!rest.empty())
      text += wrapped("    ", drbd::take_line(rest));
    return text;
  }

  std::string summary() const {
    const auto count = [&](auto is_counted) {
      return std::ranges::count_if(examination_.disks, is_counted, &ExaminedDisk::verdicts);
    };
    const auto elsewhere =
        count([](const Verdicts& each) { return each.start.outcome == Outcome::Elsewhere; });
    const auto failing = count([](const Verdicts& each) { return !each.is_fine(); }) - elsewhere;
    const auto in_use = count([](const Verdicts& each) {
      return each.is_fine() && each.start.outcome == Outcome::InUse;
    });
    const auto all = std::ssize(examination_.disks) - elsewhere;
    const bool one = all == 1;
    std::string text = std::to_string(all) + (one ? " disk: " : " disks: ");
    if (all == 0)
      text = "no disk to test.";
    else if (failing > 0)
      text = std::to_string(failing) + " of " + std::to_string(all) + (one ? " disk" : " disks") +
             " would not work.";
    else if (in_use == 0)
      text += one ? "it works." : "they work.";
    else if (in_use == all)
      text += one ? "it is in use." : "they are in use.";
    else
      text += std::to_string(in_use) + " in use, the others work.";
    if (elsewhere > 0)
      text += ' ' + std::to_string(elsewhere) + " not tested.";
    if (const auto problems = std::ranges::count_if(examination_.findings, &Finding::is_problem);
        problems > 0)
      text += ' ' + std::to_string(problems) + (problems == 1 ? " problem." : " problems.");
    if (!facts_.is_root)
      text = "As far as an ordinary user sees: " + text;
    return '\n' + painted(text, examination_.is_fine() ? Colour::Good : Colour::Bad) + '\n';
  }

  const Facts& facts_;
  const Examination& examination_;
  Style style_;
};

}  // namespace

std::string in_words(const Facts& facts, const Examination& examination, Style style) {
  return Words(facts, examination, style).text();
}

Monitoring for_monitoring(const Facts& facts, const Examination& examination) {
  const auto line = [](const char* status, const std::string& text) {
    return std::string("DRBD-XEN ") + status + " - " + text + '\n';
  };
  std::vector<std::string> troubles, delays, unseen;
  for (const Finding& each : examination.findings)
    if (each.is_problem)
      troubles.push_back(each.text);
  for (const ExaminedDisk& disk : examination.disks) {
    if (disk.verdicts.is_fine())
      continue;
    if (disk.verdicts.start.outcome == Outcome::Elsewhere) {
      unseen.push_back(disk.target.spec.resource + ": " + disk.verdicts.start.text);
      continue;
    }
    const bool will_pass =
        disk.volume != nullptr && is_target_of_resync(*disk.resource, *disk.volume);
    (will_pass ? delays : troubles)
        .push_back(disk.target.spec.resource +
                   ": a guest can neither start here nor migrate to here" +
                   (will_pass ? " before its disk is in sync" : ""));
  }
  const auto all_of = [](const std::vector<std::string>& sentences) {
    return sentences.front() +
           (sentences.size() > 1 ? " (and " + std::to_string(sentences.size() - 1) + " more)" : "");
  };
  if (!troubles.empty())
    return {.exit_code = 2, .line = line("CRITICAL", all_of(troubles))};
  if (!facts.xenstore_trouble.empty())
    unseen.insert(unseen.begin(), facts.xenstore_trouble);
  if (!unseen.empty())
    return {.exit_code = 3, .line = line("UNKNOWN", all_of(unseen))};
  if (!delays.empty())
    return {.exit_code = 1, .line = line("WARNING", all_of(delays))};
  return {
      .exit_code = 0,
      .line = line("OK", "disks: " + std::to_string(examination.disks.size()) + ", no problem")};
}

}  // namespace block_drbd::diagnose
