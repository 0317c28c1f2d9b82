// The models of DRBD in one line for each thing, for comparisons that a person can read.
#pragma once

#include <string>

#include "capture.h"
#include "drbd/answer.h"
#include "drbd/readers.h"

namespace block_drbd::test {

std::string render(const drbd::Resource& resource);
std::string render(const Result<std::vector<drbd::Resource>>& resources);
std::string render(const Result<drbd::Settings>& settings);
/// Of one resource; ENOENT when there are none.
Result<drbd::Settings> the_only(Result<std::vector<drbd::Settings>> shown);
std::string render(const drbd::Answer& answer);

/// /proc/drbd, read by both of its readers.
std::string render_proc_drbd(std::string_view text);

/// The text that the readers of this capture's command read: what it printed, or, for a change, the
/// errors that it printed.
const std::string& text_to_read(const Capture& capture);

/// `text` in the place of what was captured, read by the reader for the capture's command.
std::string read_and_render(const Capture& capture, const std::string& text);

}  // namespace block_drbd::test
