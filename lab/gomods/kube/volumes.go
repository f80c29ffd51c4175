package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	mebibyte      = int64(1) << 20
	// mkfs.xfs takes a log of this size from a small image, and refuses images below the minimum.
	logBytes     = 64 * mebibyte
	minimumBytes = 300 * mebibyte
	pause        = 500 * time.Millisecond
)

// provisioner makes one file system in a file per claim, so that a volume is as large
// as it was asked to be, and no larger.
type provisioner struct {
	api       kubernetes.Interface
	name      string
	directory string
}

func newVolumesCommand() *cobra.Command {
	var kubeconfig, name, directory string
	command := &cobra.Command{
		Use:   "lab-volumes",
		Short: "Provision, grow and remove the lab's volumes: XFS in sparse files on this machine",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			api, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			p := &provisioner{api: api, name: name, directory: directory}
			if err := p.mountAll(); err != nil {
				return err
			}
			for {
				if err := p.reconcile(command.Context()); err != nil {
					klog.ErrorS(err, "Not everything could be done, trying again")
				}
				time.Sleep(pause)
			}
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the cluster")
	command.Flags().StringVar(&name, "provisioner", "", "the provisioner's name in storage classes")
	command.Flags().StringVar(&directory, "directory", "", "where the volumes are kept")
	return command
}

// reconcile does what the claims and volumes of the provisioner's classes ask for, once.
func (p *provisioner) reconcile(ctx context.Context) error {
	listed, err := p.api.StorageV1().StorageClasses().List(ctx, meta.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	classes := map[string]storage.StorageClass{}
	for _, class := range listed.Items {
		if class.Provisioner == p.name {
			classes[class.Name] = class
		}
	}
	claims, err := p.api.CoreV1().PersistentVolumeClaims("").List(ctx, meta.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	var failures []error
	for _, claim := range claims.Items {
		class, ours := classes[ptr(claim.Spec.StorageClassName)]
		switch {
		case !ours || claim.DeletionTimestamp != nil:
		case claim.Spec.VolumeName == "" && claim.Annotations[selectedNode] != "":
			failures = append(failures, p.provision(ctx, &claim, &class))
		case claim.Status.Phase == core.ClaimBound && requested(&claim) > provided(&claim):
			failures = append(failures, p.grow(ctx, &claim))
		}
	}
	volumes, err := p.api.CoreV1().PersistentVolumes().List(ctx, meta.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	for _, volume := range volumes.Items {
		released := volume.Status.Phase == core.VolumeReleased && volume.DeletionTimestamp == nil
		remove := volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete
		if released && remove && volume.Annotations[provisionedBy] == p.name {
			failures = append(failures, p.remove(ctx, volume.Name))
		}
	}
	return errors.Join(failures...)
}

func (p *provisioner) provision(ctx context.Context, claim *core.PersistentVolumeClaim, class *storage.StorageClass) error {
	name := "pvc-" + string(claim.UID)
	_, err := p.api.CoreV1().PersistentVolumes().Get(ctx, name, meta.GetOptions{})
	if err == nil || !apierrors.IsNotFound(err) {
		return err
	}
	if _, err := os.Stat(p.image(name)); errors.Is(err, os.ErrNotExist) {
		unfinished := p.image(name) + ".new"
		if err := resize(unfinished, requested(claim)); err != nil {
			return err
		}
		if err := run("mkfs.xfs", "-q", "-f", unfinished); err != nil {
			return err
		}
		if err := os.Rename(unfinished, p.image(name)); err != nil {
			return err
		}
	}
	if err := p.mount(name); err != nil {
		return err
	}
	mode := core.PersistentVolumeFilesystem
	node := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{claim.Annotations[selectedNode]},
	}
	volume := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: p.name}},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			StorageClassName:              class.Name,
			PersistentVolumeReclaimPolicy: *class.ReclaimPolicy,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: p.path(name)}},
			ClaimRef: &core.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{
				NodeSelectorTerms: []core.NodeSelectorTerm{{MatchExpressions: []core.NodeSelectorRequirement{node}}},
			}},
		},
	}
	_, err = p.api.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
	klog.InfoS("Provisioned", "claim", klog.KObj(claim), "volume", name, "err", err)
	return err
}

func (p *provisioner) grow(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	name := claim.Spec.VolumeName
	if err := resize(p.image(name), requested(claim)); err != nil {
		return err
	}
	device, err := output("findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", p.path(name))
	if err != nil {
		return err
	}
	if err := run("losetup", "--set-capacity", strings.TrimSpace(device)); err != nil {
		return err
	}
	if err := run("xfs_growfs", p.path(name)); err != nil {
		return err
	}
	size := claim.Spec.Resources.Requests[core.ResourceStorage]
	volume, err := p.api.CoreV1().PersistentVolumes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return err
	}
	volume.Spec.Capacity[core.ResourceStorage] = size
	if _, err := p.api.CoreV1().PersistentVolumes().Update(ctx, volume, meta.UpdateOptions{}); err != nil {
		return err
	}
	grown := claim.DeepCopy()
	grown.Status.Capacity[core.ResourceStorage] = size
	_, err = p.api.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, grown, meta.UpdateOptions{})
	klog.InfoS("Grew", "claim", klog.KObj(claim), "volume", name, "err", err)
	return err
}

func (p *provisioner) remove(ctx context.Context, name string) error {
	if mounted(p.path(name)) {
		if err := run("umount", p.path(name)); err != nil {
			return err
		}
	}
	for _, path := range []string{p.path(name), p.image(name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	klog.InfoS("Removed", "volume", name)
	return p.api.CoreV1().PersistentVolumes().Delete(ctx, name, meta.DeleteOptions{})
}

// mountAll mounts what an earlier boot or a crash left unmounted.
func (p *provisioner) mountAll() error {
	images, err := filepath.Glob(p.image("*"))
	for _, image := range images {
		err = errors.Join(err, p.mount(strings.TrimSuffix(filepath.Base(image), ".xfs")))
	}
	return err
}

func (p *provisioner) mount(name string) error {
	if err := os.MkdirAll(p.path(name), 0o755); err != nil || mounted(p.path(name)) {
		return err
	}
	return run("mount", "-t", "xfs", "-o", "loop,nodev,nosuid,noatime", p.image(name), p.path(name))
}

func (p *provisioner) path(name string) string  { return filepath.Join(p.directory, name) }
func (p *provisioner) image(name string) string { return p.path(name) + ".xfs" }

func mounted(path string) bool { return exec.Command("mountpoint", "--quiet", path).Run() == nil }

// resize makes a sparse image large enough for a file system of that many bytes.
func resize(image string, bytes int64) error {
	file, err := os.OpenFile(image, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(max(bytes+logBytes, minimumBytes)), file.Close())
}

func requested(claim *core.PersistentVolumeClaim) int64 {
	return claim.Spec.Resources.Requests.Storage().Value()
}

func provided(claim *core.PersistentVolumeClaim) int64 {
	return claim.Status.Capacity.Storage().Value()
}

func ptr(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func run(command ...string) error {
	_, err := output(command...)
	return err
}

func output(command ...string) (string, error) {
	printed, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, printed)
	}
	return string(printed), nil
}
