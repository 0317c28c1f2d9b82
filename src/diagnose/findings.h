// What is wrong on this node, or under way, and what to do about it. Pure.
#pragma once

#include <string>
#include <vector>

#include "diagnose/facts.h"

namespace block_drbd::diagnose {

struct Finding {
  std::string id;          ///< a word that stays the same, for programs: "idle-primary"
  bool is_problem = true;  ///< else: good to know
  std::string resource;    ///< empty: about the node
  std::string text;        ///< what is so, and what it means
  std::string advice;      ///< what to type or to look at, line by line; may be empty
};

/// About the node itself: DRBD, tools, xenstore, the installed script.
std::vector<Finding> findings_on_node(const Facts& facts);

/// About the resources that are configured and not up, where others are.
std::vector<Finding> findings_on_not_up(const Facts& facts);

/// About one resource that is up.
std::vector<Finding> findings_on(const Facts& facts, const drbd::Resource& resource);

}  // namespace block_drbd::diagnose
