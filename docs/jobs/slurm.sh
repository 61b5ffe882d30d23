#!/bin/bash
# A study over the nodes of a cluster: each node serves the recordings on its own disk, the first one also drives.
#
#     tff-affect doctor --jobs slurm.sh
#     sbatch slurm.sh
#
# Once, by whoever runs the study (the authority's key stays there):
#
#     tff-affect worker cert authority certificates
#     tff-affect worker cert driver certificates
#     tff-affect worker cert worker certificates --name node1 --address node1     # and so on, one for each node
#
# and on each node, readable by this user alone: LOCAL/cohort (its share), LOCAL/certificates/NODE; on the first also
# LOCAL/certificates/driver. Certificates are good for 90 days: a study must not wait longer than that in the queue.

#SBATCH --job-name=affect
# The nodes are named, since the recordings lie on them.
#SBATCH --nodelist=node1,node2,node3
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
# Somebody else's job, a lost node or the end of the time puts the job back into the queue; --resume does the rest.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

set -euo pipefail
umask 077

PORT=8470
# On each node's own disk.
LOCAL=/local/affect
# Where all nodes can write, and what is there is kept: settings, weights, scores. No recording, no prediction.
STUDY=/project/affect/studies/first
# What a worker prepares from its share; removed when it ends.
export TMPDIR=$LOCAL/scratch
mkdir -p "$TMPDIR"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")

# hosts.yaml: one worker on each node of the job.
hosts=$LOCAL/hosts.yaml
{
    echo "certificates: $LOCAL/certificates/driver"
    echo "workers:"
    for node in "${nodes[@]}"; do
        echo "  - {name: $node, address: \"$node:$PORT\"}"
    done
} > "$hosts"

# The workers. Without a word about isolation, 'serve' demands a network namespace for what computes: the port of the
# binary itself is then out of everybody's reach, other users of the node included.
srun --ntasks-per-node=1 --overlap --kill-on-bad-exit=0 bash -c '
    mkdir -p "$TMPDIR"
    exec tff-affect worker serve "$1/cohort" --listen "0.0.0.0:$2" --certificates "$1/certificates/$SLURMD_NODENAME"
' serve "$LOCAL" "$PORT" &
workers=$!

# The driver waits for the workers: up to deadlines.returning of hosts.yaml, 60 s. On a fresh folder --resume begins.
tff-affect train "$STUDY" --workers "$hosts" --resume --quiet -o methods=[federated] &
driver=$!

put_back() {
    kill -TERM "$driver" 2> /dev/null || true
    wait "$driver" || true
    scontrol requeue "$SLURM_JOB_ID"
}
trap put_back USR1

code=0
wait "$driver" || code=$?
# Ends 'serve' on all nodes, which removes what it prepared.
kill -TERM "$workers" 2> /dev/null || true
wait "$workers" || true
# 2 is bad input: the same again would be refused again. After 1, mend what it says, and 'sbatch' again.
exit "$code"
