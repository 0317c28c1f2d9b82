#include "script.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace block_drbd::events {

namespace {

using Words = std::vector<std::string>;

enum class Object { None, Guest, Volume, YesNo };

struct Entry {
  const char* subject;  ///< "node": node1 or node2
  const char* name;
  Event event;
  Object object;
};

constexpr Entry vocabulary[] = {
    {"node", "create", Event::Create, Object::Guest},
    {"node", "migrate", Event::Migrate, Object::Guest},
    {"node", "reboot", Event::Reboot, Object::Guest},
    {"node", "shutdown", Event::Shutdown, Object::Guest},
    {"node", "destroy", Event::Destroy, Object::Guest},
    {"node", "primary", Event::Primary, Object::Volume},
    {"node", "secondary", Event::Secondary, Object::Volume},
    {"node", "allow", Event::Allow, Object::YesNo},
    {"node", "adjust", Event::Adjust, Object::None},
    {"node", "connect", Event::Connect, Object::None},
    {"node", "disconnect", Event::Disconnect, Object::None},
    {"node", "invalidate", Event::Invalidate, Object::None},
    {"node", "write", Event::Write, Object::None},
    {"node", "hold", Event::Hold, Object::None},
    {"node", "let-go", Event::LetGo, Object::None},
    {"node", "power-off", Event::PowerOff, Object::None},
    {"node", "power-on", Event::PowerOn, Object::None},
    {"link", "cut", Event::CutLink, Object::None},
    {"link", "restore", Event::RestoreLink, Object::None},
};

Words words_of(const std::string& text) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  return words;
}

std::string joined(const Words& words, std::size_t from = 0) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i)
    text += (text.empty() ? "" : " ") + words[i];
  return text;
}

bool is_object(Object kind, const Words& words) {
  switch (kind) {
    case Object::None:
      return words.empty();
    case Object::Guest:
      return words.size() == 1;
    case Object::Volume:
      return words.empty() || (words.size() == 1 && (words[0] == "0" || words[0] == "1"));
    case Object::YesNo:
      return words.size() == 1 && (words[0] == "yes" || words[0] == "no");
  }
  return false;
}

bool is_outcome(const std::string& text) {
  if (text == "ok" || text == "refused")
    return true;
  return text.size() > 2 && ((text.front() == '(' && text.back() == ')') ||
                             (text.front() == '"' && text.back() == '"'));
}

/// Nothing: it is no step.
std::optional<Step> step_of(const std::string& line) {
  const auto arrow = line.find("->");
  Words words = words_of(line.substr(0, arrow));
  if (words.empty())
    return std::nullopt;
  Step step;
  if ((words[0] == "look" || words[0] == "end") && arrow == std::string::npos) {
    step.event = words[0] == "look" ? Event::Look : Event::End;
    step.expected = joined(words, 1);
    return step;
  }
  // Without an arrow it must succeed.
  step.expected = arrow == std::string::npos ? "ok" : joined(words_of(line.substr(arrow + 2)));
  if (words.size() < 2 || !is_outcome(step.expected))
    return std::nullopt;
  std::string subject = words[0];
  if (subject == "node1" || subject == "node2") {
    step.node = subject.back() - '0';
    subject.pop_back();
  }
  const Words rest(words.begin() + 2, words.end());
  for (const Entry& entry : vocabulary)
    if (subject == entry.subject && (subject != "node") == (step.node == 0) &&
        words[1] == entry.name && is_object(entry.object, rest)) {
      step.event = entry.event;
      step.object = joined(rest);
      return step;
    }
  return std::nullopt;
}

Script read(const std::filesystem::path& path) {
  Script script;
  script.name = path.stem().string();
  std::ifstream file(path);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const std::string text = joined(words_of(line.substr(0, line.find('#'))));
    if (text.empty())
      continue;
    if (text == "with two primaries configured") {
      script.kind = Kind::TwoPrimaries;
    } else if (text == "with two volumes") {
      script.kind = Kind::TwoVolumes;
    } else if (text == "with the unwritten side following") {
      script.unwritten_side_follows = true;
    } else if (auto step = step_of(text)) {
      step->line = number;
      step->text = text;
      script.steps.push_back(std::move(*step));
    } else {
      throw std::runtime_error(path.string() + ':' + std::to_string(number) +
                               ": not understood: " + line);
    }
  }
  // Without an end it would demand nothing of what its last event leads to.
  if (script.steps.empty() || script.steps.back().event != Event::End)
    throw std::runtime_error(path.string() + ": a script closes with `end`");
  return script;
}

/// In the words of `look`: roles, connections, two primaries, and which guest runs where.
std::string seen(World& world) {
  const std::optional<View> views[] = {world.view(1), world.view(2)};
  const auto both = [&](std::string View::*part) {
    const auto of = [&](const auto& view) { return view ? (*view).*part : std::string("off"); };
    return of(views[0]) + '/' + of(views[1]);
  };
  std::string text =
      both(&View::role) + ' ' + both(&View::connection) + ' ' + both(&View::two_primaries);
  for (int node : {1, 2})
    if (const auto& view = views[node - 1])
      for (const std::string& guest : view->guests)
        text += ' ' + guest + " on node" + std::to_string(node);
  return text;
}

bool is_as_expected(const Outcome& outcome, const std::string& expected) {
  if (expected == "ok" || outcome.ok)
    return outcome.ok == (expected == "ok");
  if (expected == "refused")
    return true;
  const std::string inner = expected.substr(1, expected.size() - 2);
  if (expected.front() == '(')
    return outcome.code && std::to_string(*outcome.code) == inner;
  return outcome.said.find(inner) != std::string::npos;
}

std::string described(const Outcome& outcome) {
  std::string text = outcome.ok ? "ok" : "refused";
  if (outcome.code)
    text += " (" + std::to_string(*outcome.code) + ')';
  return outcome.said.empty() ? text : text + ": " + outcome.said;
}

/// What is to be seen, once it has come; an end must stay.
std::string look(const Step& step, World& world) {
  std::string last;
  const auto so = [&] { return (last = seen(world)) == step.expected; };
  if (world.comes(so) && step.event == Event::End) {
    world.rests();
    so();
  }
  return last == step.expected ? "" : last;
}

}  // namespace

std::vector<Script> scripts_of(const std::string& folder) {
  std::vector<Script> all;
  for (const auto& each :
       std::filesystem::directory_iterator(std::filesystem::path(BLOCK_DRBD_EVENTS) / folder))
    all.push_back(read(each.path()));
  if (all.empty())
    throw std::runtime_error("there are no scripts of events in " + folder);
  std::sort(all.begin(), all.end(),
            [](const Script& one, const Script& other) { return one.name < other.name; });
  return all;
}

std::string play(const Script& script, World& world) {
  for (const Step& step : script.steps) {
    std::string found;
    if (step.event == Event::Look || step.event == Event::End) {
      found = look(step, world);
    } else {
      const Outcome outcome = world.does(step);
      if (!is_as_expected(outcome, step.expected))
        found = described(outcome);
    }
    if (!found.empty())
      return script.name + ':' + std::to_string(step.line) + ": " + step.text +
             "\n  found: " + found;
  }
  return {};
}

}  // namespace block_drbd::events
