#pragma once

// The reader of JSON files under this room's name.

#include "winnow/record/jsonl.h"

namespace winnow::eval {

using record::for_each_element;
using record::for_each_line;
using record::Json;
using record::JsonRow;
using record::read_json;

}  // namespace winnow::eval
