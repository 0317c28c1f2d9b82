#include "commands.h"

namespace block_drbd::simulation {

void Commands::submit(int resource, int node, std::shared_ptr<Command> command) {
  Queue& queue = queues_[{resource, node}];
  queue.push_back(std::move(command));
  if (queue.size() == 1)
    begin_next(resource, node);
}

void Commands::abandon(Command& command) const {
  const bool waits_for_mutex = !command.begun && drbd_.shape().generation == 8;
  command.abandoned = !command.uninterruptible && !waits_for_mutex;
}

void Commands::forget(int node) {
  std::erase_if(queues_, [&](const auto& each) { return each.first.second == node; });
}

void Commands::begin_next(int resource, int node) {
  Queue& queue = queues_[{resource, node}];
  while (!queue.empty() && queue.front()->abandoned)
    queue.pop_front();
  if (queue.empty())
    return;
  const auto command = queue.front();
  command->begun = true;
  world_.scheduler().after(command->takes, [=, this] { carry_out(resource, node, command); });
}

void Commands::carry_out(int resource, int node, const std::shared_ptr<Command>& command) {
  const auto queue = queues_.find({resource, node});
  if (queue == queues_.end() || queue->second.empty() || queue->second.front() != command)
    return;  // of a kernel that has lost its power
  if (!command->abandoned && !command->act()) {
    world_.scheduler().after(milliseconds(60), [=, this] { carry_out(resource, node, command); });
    return;
  }
  command->done = true;
  queue->second.pop_front();
  begin_next(resource, node);
}

}  // namespace block_drbd::simulation
