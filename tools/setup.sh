#!/usr/bin/env bash
# Gets everything a build needs: Debian packages, then ggml and libllama in one of three ways. Safe to run again; needs
# no network once everything is there.
#
#   tools/setup.sh          what building, testing and running need
#   tools/setup.sh --train  also LibTorch (600 MB), for the trainer of the built-in model and its tests, Open MPI, and
#                           Chromium, in which a test opens the page of a report
#   tools/setup.sh --dev    also clang-format, clang-tidy and clang (fuzzing)
#   tools/setup.sh --gpu    also ggml's Vulkan backend, for GPUs of any maker whose driver is there
#
#   WINNOW_DEPS=auto|system|private|download   which way for ggml and libllama (auto: the first that works)
#   WINNOW_DEPS_DIR=DIR                        where the private prefix goes (.deps)
#   WINNOW_DEB_SUITE=testing                   the newer suite of the machine's own mirror it comes from
set -euo pipefail
cd "$(dirname "$0")/.."

deps_dir=${WINNOW_DEPS_DIR:-$PWD/.deps}
way=${WINNOW_DEPS:-auto}
suite=${WINNOW_DEB_SUITE:-testing}
gpu=  # yes with --gpu
packages="g++ cmake make pkg-config python3 libfmt-dev libhwy-dev nlohmann-json3-dev libcli11-dev libjpeg-dev
          libpng-dev libgif-dev libwebp-dev libssl-dev libutf8proc-dev libjs-chart.js libgtest-dev libbenchmark-dev"
train_packages="libtorch-dev libopenblas-dev libopenmpi-dev openmpi-bin chromium"
dev_packages="clang clang-format clang-tidy libclang-rt-dev"
gpu_packages="libggml0-backend-vulkan libvulkan1"
# ggml and libllama, and what they need newer than a stable system has.
prefix_packages="libggml0 libggml-dev libllama0 libllama-dev libc6 libstdc++6 libgcc-s1 libgomp1 libssl3t64 libzstd1
                 zlib1g"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Removes on exit, also after an interruption, what must not be left half made.
scratch=()
fresh=()  # options for apt against an outdated mirror
clean_up() { if ((${#scratch[@]})); then rm -rf "${scratch[@]}"; fi; }
trap clean_up EXIT

install_packages() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2> /dev/null | grep -qx installed || missing+=("$package")
  done
  if ! ((${#missing[@]})); then
    say "Debian packages: all there"
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    die "these packages are missing, and installing them needs root:
  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -y install --no-install-recommends "${missing[@]}" > /dev/null
}

# $1: the prefix, $2: whether it must have the Vulkan backend
prefix_complete() {
  local lib
  for lib in "$1"/usr/lib/*/ld-linux*.so.*; do
    lib=$(dirname "$lib")
    [ -e "$lib/libllama.so" ] && [ -e "$lib/libggml.so" ] && [ -e "$lib/libstdc++.so.6" ] &&
      [ -e "$lib/libgomp.so.1" ] && [ -d "$lib/ggml/backends0" ] && [ -e "$lib/cmake/llama/llama-config.cmake" ] &&
      [ -e "$1/usr/include/llama.h" ] && [ -e "$1/usr/include/ggml.h" ] &&
      { [ -z "$2" ] || [ -e "$lib/ggml/backends0/libggml-vulkan.so" ]; } && return 0
  done
  return 1
}

system_has_llama() {
  local probe
  probe=$(mktemp -d)
  scratch+=("$probe")
  cat > "$probe/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.24)
project(probe LANGUAGES C CXX)
find_package(ggml 0.27 REQUIRED)
find_package(llama 0.7 REQUIRED)
END
  cmake -S "$probe" -B "$probe/build" > /dev/null 2>&1
}

# The line for $suite on the mirror that this machine already uses.
mirror_line() {
  local codename=
  [ -r /etc/os-release ] && codename=$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}")
  [ -n "$codename" ] && python3 tools/apt_mirror.py "$codename" "$suite"
}

# A private apt: its own sources, lists and an empty status file; nothing on the system changes. Works without root.
private_apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 ${fresh[@]+"${fresh[@]}"} "$@"
}

# A frozen or slow mirror serves release files past their date. Signatures are checked all the same; what an expired file no
# longer rules out is that newer packages exist, which a private prefix can live with.
read_lists() {
  if private_apt update 2> "$apt/messages"; then return; fi
  if grep -q 'is expired' "$apt/messages"; then
    say "this mirror's release file for '$suite' is past its date: its signature is checked, its age is not"
    fresh=(-o Acquire::Check-Valid-Until=false)
    private_apt update && return
  fi
  cat "$apt/messages" >&2
  die "apt could not read the suite '$suite'. Other ways: WINNOW_DEB_SUITE=<another suite>, or WINNOW_DEPS=download."
}

make_prefix() {
  local line=$1 deb
  mkdir -p "$deps_dir"
  apt=$(mktemp -d "$deps_dir/apt.XXXXXX")
  local half=$deps_dir/llama.half.$$
  scratch+=("$apt" "$half")
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$half"
  : > "$apt/status"
  printf '%s\n' "$line" > "$apt/sources.list"

  say "reading the package lists of the suite '$suite'"
  read_lists
  say "downloading ggml and libllama (11 MB${gpu:+, Vulkan 5 MB})"
  # shellcheck disable=SC2086
  (cd "$apt/debs" && private_apt download $prefix_packages ${gpu:+$gpu_packages})
  for deb in "$apt"/debs/*.deb; do
    dpkg-deb -x "$deb" "$half"
  done
  # Newer packages may still put the loader and libc under /lib.
  if [ -d "$half/lib" ]; then cp -a "$half/lib/." "$half/usr/lib/" && rm -rf "$half/lib"; fi
  prefix_complete "$half" "$gpu" || die "the packages of '$suite' do not hold what was expected: $prefix_packages ${gpu:+$gpu_packages}"
  rm -rf "$deps_dir/llama"
  mv "$half" "$deps_dir/llama"  # the last step, so that an interrupted run leaves nothing that looks complete
}

use_system() {
  say "ggml and libllama: the system's own packages"
  if [ -n "$gpu" ]; then
    # shellcheck disable=SC2086
    install_packages $gpu_packages
  fi
}

use_download() {
  say "ggml and libllama: CMake will download a pinned llama.cpp release (needs git and a network)"
  command -v git > /dev/null || die "git is missing"
  mkdir -p "$deps_dir" && touch "$deps_dir/fetch-llama"
}

main() {
  local wanted=$packages line
  local option
  for option in "$@"; do
    case $option in
      --dev) wanted="$wanted $dev_packages" ;;
      --train) wanted="$wanted $train_packages" ;;
      --gpu) gpu=yes ;;
      *) die "unknown argument '$option' (only --train, --dev and --gpu)" ;;
    esac
  done
  if command -v dpkg-query > /dev/null && command -v apt-get > /dev/null; then
    # shellcheck disable=SC2086
    install_packages $wanted
  else
    say "no apt here: a C++20 compiler, CMake >= 3.24, pkg-config, python3, fmt, nlohmann-json, CLI11, libjpeg,"
    say "libpng, giflib, libwebp, OpenSSL, utf8proc, Chart.js and GoogleTest have to be there already; CMake says which is not. Highway is optional"
  fi

  [ "$way" = download ] || rm -f "$deps_dir/fetch-llama"
  case $way in
    auto | private)
      if prefix_complete "$deps_dir/llama" "$gpu"; then
        say "ggml and libllama: private prefix $deps_dir/llama, already there"
      elif [ "$way" = auto ] && system_has_llama; then
        use_system
      elif line=$(mirror_line); then
        make_prefix "$line"
        say "ggml and libllama: private prefix $deps_dir/llama"
      elif [ "$way" = private ]; then
        die "this is not Debian, or no apt source offers its main component: no newer packages to take"
      else
        use_download
      fi ;;
    system)
      [ ! -e "$deps_dir/llama" ] || die "$deps_dir/llama is there and comes first; delete it to use the system's packages"
      system_has_llama || die "find_package finds no ggml >= 0.27 and llama >= 0.7 on this system"
      use_system ;;
    download) use_download ;;
    *) die "WINNOW_DEPS: got '$way', expected auto, system, private or download" ;;
  esac
}

main "$@"
