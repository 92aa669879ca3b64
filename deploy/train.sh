#!/usr/bin/env bash
# The entry of the container: make what a commit asks for, push it, and write back what came of it.
#
# Environment (docs/guide/rented.md has it as a table):
#   REPOSITORY  URL of the Git repository
#   COMMIT      branch, tag or commit to make
#   RUN         name of the run: the same when it is started again
#   TARGETS     stages of dvc.yaml, with all that they need; everything when empty
#   BATCH_SIZE, NUM_EPOCHS, SETTINGS ("split.minimum=35 train.seed=8")
#               parameters of this run, written into params.yaml as `dvc exp run -S` does
#   OUT         mounted cloud folder: OUT/RUN/log.txt, OUT/RUN/checkpoints, OUT/RUN/results
#   WORK        local disk: the clone, DVC's cache, checkpoints
#   IMAGE_LOCK  the lock that this image was built from; a commit with another is refused
#   REQUIRE_GPU yes: without a visible GPU nothing is begun
#   KEEP_SECONDS between two copies of the newest checkpoint to OUT
#   WORKERS     host:port of each machine that trains together, with spaces between them; JOB_COMPLETION_INDEX says which is
#               this one. COMMIT then has the data half made and pushed
set -Eeuo pipefail

: "${REPOSITORY:?says which Git repository to clone}" "${COMMIT:?says which commit to make}" "${RUN:?names the run}"
: "${OUT:?names the mounted cloud folder}" "${WORK:=/scratch}" "${TARGETS:=}" "${SETTINGS:=}" "${KEEP_SECONDS:=600}"
: "${WORKERS:=}" "${JOB_COMPLETION_INDEX:=0}"
clone=$WORK/retrain
kept=$OUT/$RUN
log=$kept/log.txt
[[ $JOB_COMPLETION_INDEX -eq 0 ]] || log=$kept/log-$JOB_COMPLETION_INDEX.txt
export RETRAIN_CHECKPOINTS=$WORK/checkpoints DVC_SITE_CACHE_DIR=$WORK/site DVC_NO_ANALYTICS=1 GIT_TERMINAL_PROMPT=0
export PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-1}
step=starting child='' keeper='' stopped=''

# Opened again for every line: a line is in the cloud when it was said, and not when the run ends.
write_lines() {
  local line
  while IFS= read -r line || [[ -n $line ]]; do
    printf '%(%FT%TZ)T %s\n' -1 "$line" | tee -a "$log"
  done
}

say() { printf '== %s\n' "$*"; }

# A trap waits for a command in the foreground to end, and a signal would reach dvc and not the stage that it runs.
run() {
  setsid "$@" &
  child=$!
  wait "$child"
  local status=$?
  child=''
  return "$status"
}

stop() {
  stopped=$1
  say "SIG$1 while $step"
  if [[ -n $child ]]; then
    kill -TERM -- "-$child" 2>/dev/null || true
    for _ in {1..50}; do
      kill -0 -- "-$child" 2>/dev/null || break
      sleep 0.2
    done
    kill -KILL -- "-$child" 2>/dev/null || true
  fi
  exit 1
}

# Whole or not at all: training takes no checkpoint whose checksum does not hold, and none that is named .partial.
keep_checkpoints() {
  local newest name
  [[ -z $WORKERS ]] || return 0 # they are there
  newest=$(find "$RETRAIN_CHECKPOINTS" -mindepth 2 -maxdepth 2 -name '*[0-9]' -printf '%T@ %P\n' 2>/dev/null | sort -n | tail -n 1)
  [[ -n $newest ]] || return 0
  name=${newest#* }
  [[ ! -d $kept/checkpoints/$name ]] || return 0
  rm -rf "$kept/checkpoints.partial"
  mkdir -p "$kept/checkpoints.partial/$name"
  cp -r "$RETRAIN_CHECKPOINTS/$name/." "$kept/checkpoints.partial/$name" || return 0 # it was replaced meanwhile: the next one will do
  rm -rf "$kept/checkpoints"
  mv "$kept/checkpoints.partial" "$kept/checkpoints"
}

keep_at_intervals() {
  local idle
  exec {idle}<> <(:) 3>&-
  # Waits without a process of its own, which would outlive it and hold the log open.
  while true; do
    read -r -t "$KEEP_SECONDS" -u "$idle" || keep_checkpoints
  done
}

finish() {
  local status=$?
  trap - EXIT ERR TERM INT
  set +e
  [[ -z $keeper ]] || kill "$keeper" 2>/dev/null
  if [[ $status -ne 0 || -n $stopped ]]; then
    [[ $stopped != TERM ]] || status=143
    keep_checkpoints
    say "FAILED while $step, status $status"
    say "reached: $(grep -o "Running stage '[a-z_]*'" "$log" | tail -n 1 | grep . || echo 'no stage was begun')"
    say "checkpoint: $(find "$kept/checkpoints" -mindepth 2 -maxdepth 2 2>/dev/null | grep . || echo none)"
    say "log: $log. Start the run again with the same RUN: finished stages and the checkpoint are taken up."
  fi
  exec >&3 2>&1
  wait "$logger"
  exit "$status"
}

check_out() {
  if [[ ! -d $clone/.git ]]; then
    rm -rf "$clone.partial"
    run git clone --quiet --no-checkout "$REPOSITORY" "$clone.partial"
    mv "$clone.partial" "$clone"
  fi
  cd "$clone"
  run git fetch --quiet --tags --force origin '+refs/heads/*:refs/remotes/origin/*'
  local commit
  commit=$(git rev-parse --verify --quiet "refs/remotes/origin/$COMMIT^{commit}" || git rev-parse --verify "$COMMIT^{commit}")
  git checkout --quiet --force --detach "$commit"
  say "commit $commit: $(git log -1 --format=%s)"
  # What a killed DVC leaves behind; nothing else works in this clone.
  rm -f .dvc/tmp/lock .dvc/tmp/rwlock .dvc/tmp/rwlock.lock
  if [[ -n ${IMAGE_LOCK:-} ]] && ! cmp -s "$IMAGE_LOCK" requirements-gpu.lock; then
    say "requirements-gpu.lock of the commit is not the one that this image was built from: build the image of this commit"
    return 1
  fi
}

# Machines that train together share checkpoints and each other's addresses. The first one makes the run, the others only
# take their part in the stage that they share.
join_workers() {
  RETRAIN_CHECKPOINTS=$kept/checkpoints
  export TF_CONFIG
  TF_CONFIG=$(printf '{"cluster": {"worker": ["%s"]}, "task": {"type": "worker", "index": %d}}' \
    "${WORKERS// /'", "'}" "$JOB_COMPLETION_INDEX")
  say "one of the machines that train together: $TF_CONFIG"
  if [[ $JOB_COMPLETION_INDEX -gt 0 ]]; then
    run dvc pull --quiet data/shards data/splits.parquet data/images.parquet data/base
    run python -m stages.train
    say "done: $RUN, its part of training"
    exit 0
  fi
}

take_up_checkpoint() {
  mkdir -p "$RETRAIN_CHECKPOINTS"
  [[ -d $kept/checkpoints ]] || return 0
  cp -r --update "$kept/checkpoints/." "$RETRAIN_CHECKPOINTS"
  say "checkpoint: $(find "$kept/checkpoints" -mindepth 2 -maxdepth 2)"
}

write_back() {
  git add --all
  if git diff --cached --quiet; then
    say "nothing was made that the commit does not have already"
    return 0
  fi
  git -c user.name="${GIT_AUTHOR_NAME:-Retrain}" -c user.email="${GIT_AUTHOR_EMAIL:-retrain@localhost}" \
    commit --quiet --message "Run $RUN: ${TARGETS:-everything}" --message "BATCH_SIZE=${BATCH_SIZE:-} NUM_EPOCHS=${NUM_EPOCHS:-} SETTINGS=$SETTINGS"
  if run git push --quiet --force origin "HEAD:refs/heads/runs/$RUN"; then
    say "results: branch runs/$RUN at $(git rev-parse --short HEAD)"
    return 0
  fi
  rm -rf "$kept/results"
  mkdir -p "$kept/results"
  git format-patch --quiet -1 --output-directory "$kept/results" HEAD
  git diff-tree --no-commit-id --name-only --diff-filter=d -r -z HEAD | xargs -0 cp --parents --target-directory="$kept/results"
  say "results: no right to push a branch, so they are in $kept/results; 'git am' takes the patch"
}

mkdir -p "$kept" "$WORK"
exec 3>&1
exec > >(write_lines) 2>&1
logger=$!
trap finish EXIT
trap 'stop TERM' TERM
trap 'stop INT' INT

say "run $RUN on $(uname -n): ${TARGETS:-everything} of $COMMIT"
step="looking for a GPU"
nvidia-smi -L 2>/dev/null || { say "no GPU is visible" && [[ ${REQUIRE_GPU:-no} != yes ]]; }
step="checking out $COMMIT"
check_out
step="setting parameters"
run python -m deploy.settings
step="checking the remote"
run make --silent --assume-old=.venv/ready remote-check
step="making ${TARGETS:-everything}"
if [[ -n $WORKERS ]]; then
  join_workers
else
  take_up_checkpoint
  keep_at_intervals &
  keeper=$!
fi
# shellcheck disable=SC2086 # several targets are several words
run dvc repro --pull --allow-missing $TARGETS
[[ -z $keeper ]] || kill "$keeper"
keeper=''
step="pushing what was made"
run make --silent --assume-old=.venv/ready push
step="writing back"
write_back
rm -rf "$kept/checkpoints"
say "done: $RUN"
