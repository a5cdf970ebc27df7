#include <cstdio>
#include <vector>

#include "winnow/base/rng.h"
#include "winnow/prune/method.h"

// Lists the methods, then lets one choose: a host engine needs nothing else.
int main() {
  bool has_fastv = false;
  for (const winnow::prune::Method* method : winnow::prune::selecting_methods()) {
    std::printf("%s: %s\n", method->info().name.c_str(), method->info().summary.c_str());
    has_fastv = has_fastv || method->info().name == "fastv";
  }
  return has_fastv ? 0 : 1;
}
